"""Published models: their names, their files and the pins that tell the real file from a changed or cut one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from edgecam.labels import COCO, Labels
from edgecam.modelfile import ModelFile, ModelForm

#: Where google-coral/test_data has its files, at the commit the pins were taken from.
CORAL = "https://github.com/google-coral/test_data/raw/104342d2d3480b3e66203073dac24f4e2dbb4c41"
REAL = "mobiledet"
REAL_EDGETPU = "mobiledet-edgetpu"
DEMO = "edgecam-demo"
_APACHE = "Apache-2.0"
_SHA256, _GIT_BLOB = "SHA-256 ", "git blob "


@dataclass(frozen=True, slots=True)
class Published:
    """A model known by name. `sha256`, else `git_blob` (SHA-1 over a git blob of the content), pins its content.

    `about` describes it; `caution` is what its user must be told at every start. `source` is the URL of the folder that
    has the file, "" where none is known. `form` says what the file itself does not, where its shapes would not tell.
    """

    name: str
    file: str
    about: str
    sha256: str = ""
    git_blob: str = ""
    license: str = _APACHE
    labels: Labels | None = COCO
    caution: str = ""
    source: str = CORAL
    form: ModelForm | None = None

    @property
    def pinned(self) -> bool:
        """True where the content of the published file is known."""
        return bool(self.sha256 or self.git_blob)

    @property
    def pin(self) -> str:
        """The checksum of the published file, with its kind; "" where it is not pinned."""
        return _SHA256 + self.sha256 if self.sha256 else _GIT_BLOB + self.git_blob if self.git_blob else ""

    def checksum(self, content: bytes) -> str:
        """What `pin` would be for this content; "" where the published file is not pinned."""
        if self.sha256:
            return _SHA256 + hashlib.sha256(content).hexdigest()
        return _GIT_BLOB + _git_blob(content) if self.git_blob else ""

    def matches(self, model: ModelFile) -> bool:
        """True where a file is the published one, as far as that can be told."""
        return self.checksum(model.content) == self.pin


PUBLISHED = (
    Published(
        REAL,
        "ssdlite_mobiledet_coco_qat_postprocess.tflite",
        "SSDLite MobileDet 320x320, COCO; AP 25.6 (uint8, TensorFlow 1 zoo)",
        sha256="32c486140391eb4dc43fca7113ad392be632dc5366687f2731f73d740678693f",
    ),
    Published(
        REAL_EDGETPU,
        "ssdlite_mobiledet_coco_qat_postprocess_edgetpu.tflite",
        "SSDLite MobileDet 320x320, COCO, for the Edge TPU",
        sha256="b69e508ef2a670e06b80bd3e5559a827d5cd8d557c95d5e332cbf1d31d434a2e",
    ),
    Published(
        "ssd-mobilenet-v1",
        "ssd_mobilenet_v1_coco_quant_postprocess.tflite",
        "SSD MobileNet v1 300x300, COCO",
        git_blob="1a2270d37dd7d0f84acc49e069391312e697cf12",
    ),
    Published(
        "ssd-mobilenet-v1-edgetpu",
        "ssd_mobilenet_v1_coco_quant_postprocess_edgetpu.tflite",
        "SSD MobileNet v1 300x300, COCO, for the Edge TPU",
        git_blob="07721d3949bd8f5a78b76e57fe3fafcf09207785",
    ),
    Published(
        "ssd-mobilenet-v2",
        "ssd_mobilenet_v2_coco_quant_postprocess.tflite",
        "SSD MobileNet v2 300x300, COCO",
        git_blob="28b6bdee3548170bb999ffcc7248b40d76f6b6b8",
    ),
    Published(
        "ssd-mobilenet-v2-edgetpu",
        "ssd_mobilenet_v2_coco_quant_postprocess_edgetpu.tflite",
        "SSD MobileNet v2 300x300, COCO, for the Edge TPU",
        sha256="b94e2d58222c32f31062c7604e10488e2aba9259ab77462039476a3ba4597fef",
    ),
    Published(
        "tf2-ssd-mobilenet-v2",
        "tf2_ssd_mobilenet_v2_coco17_ptq.tflite",
        "SSD MobileNet v2 300x300 of TensorFlow 2, COCO",
        git_blob="76be13016daa10289021773d584e2244d252bd22",
    ),
    Published(
        "tf2-ssd-mobilenet-v2-edgetpu",
        "tf2_ssd_mobilenet_v2_coco17_ptq_edgetpu.tflite",
        "SSD MobileNet v2 300x300 of TensorFlow 2, COCO, for the Edge TPU",
        git_blob="894fd0d7bc1dc8ae711057a298a86115d6975c63",
    ),
    Published(
        "tf2-ssd-mobilenet-v1-fpn",
        "tf2_ssd_mobilenet_v1_fpn_640x640_coco17_ptq.tflite",
        "SSD MobileNet v1 FPN 640x640 of TensorFlow 2, COCO",
        git_blob="1adaba7d3a80feb3e02a51edddd50b77b48ed82b",
    ),
    Published(
        "tf2-ssd-mobilenet-v1-fpn-edgetpu",
        "tf2_ssd_mobilenet_v1_fpn_640x640_coco17_ptq_edgetpu.tflite",
        "SSD MobileNet v1 FPN 640x640 of TensorFlow 2, COCO, for the Edge TPU",
        git_blob="32f5905a4900c21fdbd487f36f0d94b1b74a1587",
    ),
    Published(
        "coco-ssd-v1",
        "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
        "SSD MobileNet v1 300x300, COCO, of TensorFlow's model garden",
        sha256="61d598093ed03ed41aa47c3a39a28ac01e960d6a810a5419b9a5016a1e9c469b",
        labels=None,
        source="",
    ),
    Published(
        "dog-vs-cat",
        "ssdlite_mobiledet_dog_vs_cat.tflite",
        "SSDLite MobileDet 320x320, heads of dogs and cats",
        sha256="3e23200744de87d96fb48069040d06ebc25cf3bfab307289cc0e123734977c11",
        license="",
        labels=Labels(("cat", "dog"), "the classes of the dog and cat detector"),
        source="",
    ),
    Published(
        DEMO,
        "edgecam_demo.tflite",
        "the bundled demonstrator, an SSDLite detector in MobileDet's form, trained on rendered scenes",
        labels=None,
        source="",
        caution=f"knows rendered scenes only; fetch the real one with: edgecam models pull {REAL}",
    ),
)
BY_NAME = {published.name: published for published in PUBLISHED}
BY_FILE = {published.file: published for published in PUBLISHED}


def _git_blob(content: bytes) -> str:
    """Git's name for the content; SHA-1 because git says so."""
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
