"""How the bundled demonstrator model is made: render, train, quantise, evaluate (see tools/train_demo_model.py)."""
