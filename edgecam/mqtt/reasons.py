"""Why a broker cannot be reached, refuses, or hangs up: in plain words, with the remedy."""

from __future__ import annotations

import socket
import ssl

from edgecam.mqtt.credentials import Broker

TAKEN_OVER = "Session taken over"
"""What a broker of version 5 says to a client when another one comes with its id."""

_OBSTACLES: dict[type[Exception], str] = {
    socket.gaierror: "there is no such host: check mqtt.host, and the network",
    ConnectionRefusedError: "nobody answers there: is the broker running, and are mqtt.host and mqtt.port right?",
    TimeoutError: "no answer in time: check the network, mqtt.host and mqtt.port",
}
_CERTIFICATE_ALERTS = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_")


def unreachable(error: Exception, broker: Broker) -> str:
    """Why no connection came about."""
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)):
        return hung_up("", broker)
    return f"MQTT broker {broker.address}: {_obstacle(error)}"


def _obstacle(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error.verify_message.rstrip("."))
    if isinstance(error, ssl.SSLError):
        return _tls_failure(str(error.reason or error))
    known = next((words for kind, words in _OBSTACLES.items() if isinstance(error, kind)), "")
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return known or f"cannot be reached: {said}: check mqtt.host, and the network"


def _untrusted(said: str) -> str:
    if "mismatch" in said or "not valid for" in said:
        return f"its certificate is for another name ({said}): set mqtt.host to a name that is in it"
    if "expired" in said or "not yet valid" in said:
        return f"{said}: check this machine's clock, or renew the broker's certificate"
    return f"its certificate is not trusted ({said}): set mqtt.ca_file to the authority that signed it"


def _tls_failure(said: str) -> str:
    if "WRONG_VERSION_NUMBER" in said or "PACKET_LENGTH" in said or "RECORD_LAYER" in said:
        return "does not speak TLS on this port: set mqtt.tls = false, or mqtt.port to the one that does"
    if any(alert in said for alert in _CERTIFICATE_ALERTS):
        return f"wants another client certificate ({said}): set mqtt.cert_file and mqtt.key_file"
    return f"TLS failed ({said}): check mqtt.port and the certificates"


def refused(reason: str, broker: Broker) -> str:
    """Why the broker did not let us in, by the name of its reason code."""
    user = f"the user {broker.username!r}" if broker.username else "a client without a user"
    remedies = {
        "Not authorized": f"refuses {user}: check mqtt.username and the password",
        "Bad user name or password": f"refuses {user}: check mqtt.username and the password",
        "Unsupported protocol version": f"does not speak MQTT {broker.version}: set mqtt.version to the other one",
        "Client identifier not valid": f"does not take the client id {broker.client_id!r}: set another mqtt.client_id",
        "Banned": f"has banned this client: ask its keeper, or set another mqtt.client_id than {broker.client_id!r}",
    }
    return f"MQTT broker {broker.address}: {remedies.get(reason, f'refuses the connection: {reason}')}"


def hung_up(error: str, broker: Broker) -> str:
    """Why a connection ended before the broker had said a word; `error` is what the network said."""
    address = f"MQTT broker {broker.address}"
    if "SSL" in error:
        return f"{address}: {_tls_failure(error)}"
    if broker.tls is None:
        return f"{address}: hangs up at once: if it speaks TLS on this port, set mqtt.tls = true"
    return (
        f"{address}: hangs up at once: if it does not speak TLS on this port, set mqtt.tls = false; if it wants a"
        " client certificate, set mqtt.cert_file and mqtt.key_file"
    )


def nonsense(error: str, broker: Broker) -> str:
    """What to think of an answer that is not MQTT."""
    return f"MQTT broker {broker.address}: what it says makes no sense ({error}): is it a broker of MQTT?"


def silent(broker: Broker) -> str:
    """What to think of a broker that takes connections and says nothing."""
    return f"MQTT broker {broker.address}: takes the connection and does not answer: is it a broker, and is it well?"


def clash(broker: Broker) -> str:
    """What to do where two clients push each other out."""
    return (
        f"MQTT broker {broker.address}: another client uses the client id {broker.client_id!r} too, and each pushes the"
        " other out: set another mqtt.client_id in one of them"
    )


def suspicion(broker: Broker) -> str:
    """What to think of a broker that hangs up again and again, and gives no reason."""
    return (
        f"MQTT broker {broker.address}: hangs up again and again: perhaps another client uses the client id"
        f" {broker.client_id!r} too: set another mqtt.client_id in one of them"
    )


def unanswered(broker: Broker) -> str:
    """What to think of a broker that takes messages and does not acknowledge them."""
    return f"MQTT broker {broker.address}: does not acknowledge what it is sent: is it overloaded, or frozen?"


def refused_message(broker: Broker, topic: str, reason: str) -> str:
    """Why a message was not taken, by the name of its reason code."""
    if reason == "Not authorized":
        user = broker.username or "this client"
        return f"MQTT broker {broker.address}: does not let {user} publish on {topic}: allow it in the broker's rules"
    return f"MQTT broker {broker.address}: refuses a message on {topic}: {reason}"


def refused_topic(broker: Broker, topic: str) -> str:
    """What it means that a subscription was refused."""
    user = broker.username or "this client"
    return f"MQTT broker {broker.address}: does not let {user} read {topic}: allow it in the broker's rules"


def too_large(broker: Broker, topic: str, size_bytes: int) -> str:
    """What it means that a message is larger than the broker allows."""
    return f"MQTT broker {broker.address}: does not take {size_bytes} bytes on {topic}: raise its largest packet size"
