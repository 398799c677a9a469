"""Settings of `node`: of the command, and of the YAML file that names its peers and rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, HttpUrl
from pydantic.dataclasses import dataclass

from medtranslate.config.types import (
    FROZEN,
    PATIENTS,
    Device,
    Existing,
    Modality,
    Positive,
    Precision,
    Samples,
)
from medtranslate.errors import SettingsError

_SIGN = r"[!-\[\]-~]"
AETitle = Annotated[str, Field(pattern=rf"^{_SIGN}([ -\[\]-~]{{0,14}}{_SIGN})?$")]
"""Title of an application entity: at most 16 characters, no backslash (PS3.5 6.2, AE)."""


def _bare(url: object) -> object:
    """Refuse an address that may hold a password; pydantic's own message would repeat it."""
    if isinstance(url, str) and set(url) & set("@?#"):
        raise SettingsError("dicomweb: a url has no @, ? or #; name a file of credentials by `authorization`")
    return url


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0.1, le=7 * 86400)]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class NodeSettings:
    """Settings of `node`."""

    rules: Existing[Path]
    """YAML file of the node: its title and port, its peers, and the rules of translation (docs/node.md)."""
    folder: Path
    """Folder for the series that have arrived, the results that are to be sent, and the journal."""
    workers: Positive = 1
    """Worker processes, each with the models of all rules."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """Arithmetic of the network; auto takes bfloat16 where the processor computes in it."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Peer:
    """Application entity that may call, and to which results may be sent."""

    title: AETitle
    """Its AE title."""
    address: Annotated[str, Field(min_length=1, max_length=253)]
    """Its host name or IP address."""
    port: Port | None = None
    """Port on which it takes images; without one nothing can be sent to it."""
    tls: bool = False
    """Send to it by TLS."""
    commit: bool = False
    """Answer its requests for storage commitment; docs/node.md says what the node commits itself to."""
    confirm: bool = False
    """Ask it for storage commitment; a result counts as delivered when its report says so."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class WebServer:
    """DICOMweb server to which results may be sent by STOW-RS."""

    title: AETitle
    """Its name for `send_to`."""
    url: Annotated[HttpUrl, BeforeValidator(_bare)]
    """Its address without `/studies`, such as https://archive.example/dicom-web."""
    authorization: Path | None = None
    """File with the value of the Authorization header, such as `Bearer TOKEN`; relative to the YAML file."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Rule:
    """Rule for the series that meet all of its conditions. The first such rule counts."""

    calling: AETitle | None = None
    """Condition: the AE title of the sender."""
    modality: Modality | None = None
    """Condition: the modality (default: the one that `to` is made of)."""
    description: str | None = None
    """Condition: pattern of the SeriesDescription, such as '*t1*'; case does not matter."""
    body_part: str | None = None
    """Condition: pattern of BodyPartExamined, such as head."""
    to: Modality | None = None
    """Modality to make; without it the series is taken, and nothing is made or sent."""
    model: str = PATIENTS
    """Name of a model, or its folder."""
    samples: Samples | None = None
    """Samples for the uncertainty; they add a Parametric Map."""
    uncertainty: bool = False
    """Add a Parametric Map of the uncertainty: without samples, of the error limits of the model, if it
    estimates them, else of 16 samples."""
    report: bool = True
    """Add the report (Encapsulated PDF) and what was measured (Enhanced SR)."""
    compress: bool = False
    """Compress the pixels without loss (JPEG-LS)."""
    burn_in: bool = False
    """Write SYNTHETIC CT or MR into a corner of each slice."""
    force: bool = False
    """Translate inputs that the model's input gate refuses; header, record and report say so."""
    send_to: tuple[AETitle, ...] = ()
    """Titles of the peers and DICOMweb servers that get the result (default: the sender)."""

    @property
    def mapped(self) -> bool:
        """True if the uncertainty is mapped."""
        return self.uncertainty or self.samples is not None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Certificates:
    """Files for TLS, PEM, relative to the YAML file. Both sides show a certificate of `ca`."""

    cert: Path
    """Certificate of the node."""
    key: Path
    """Its private key."""
    ca: Path
    """Certificates of the authorities that the node trusts."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class NodeRules:
    """Contents of the YAML file of a node."""

    title: AETitle = "MEDTRANSLATE"
    """AE title of the node."""
    host: str = "127.0.0.1"
    """Address on which it listens; 0.0.0.0 for all networks."""
    port: Port = 11112
    """Port on which it listens."""
    status_port: Port | None = None
    """Port of the status page, on 127.0.0.1 (default: no page)."""
    peers: tuple[Peer, ...]
    """Known application entities; no other may call."""
    dicomweb: tuple[WebServer, ...] = ()
    """DICOMweb servers, for `send_to`."""
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    """Rules, of which the first that fits counts. A series that none fits is refused."""
    tls: Certificates | None = None
    """Take associations by TLS alone (default: without TLS)."""
    quiet: Seconds = 10.0
    """Seconds without a new image, after the last association has ended, that make a series complete."""
    patience: Seconds = 3600.0
    """Seconds to wait for the rest of a series whose association was cut; then it is refused."""
    keep: Seconds = 3600.0
    """Seconds that a settled series is kept, so that late images can join it."""
    retry_first: Seconds = 5.0
    """Seconds before the second try to send; each further wait is twice as long."""
    retry_most: Seconds = 600.0
    """Longest wait between two tries to send."""
    confirm_within: Seconds = 60.0
    """Seconds to wait for a report on storage commitment; then the peer is asked again, later."""
    associations: Annotated[int, Field(ge=1, le=200)] = 32
    """Most associations at a time."""
    object_mb: Annotated[int, Field(ge=1, le=4096)] = 256
    """Largest object in MB; it is held in memory while it arrives."""
    free_gb: Annotated[float, Field(ge=0)] = 2.0
    """GB of the disk that stay free; images that would need them are refused."""
