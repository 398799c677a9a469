"""Makes the small DICOM objects of the findings: series of CT or MR, enhanced objects, structure sets.

No medtranslate, no file of a patient. Lengths are in millimetres, positions in LPS.
dciodvfy of dicom3tools 20260927 has no error in them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RTStructureSetStorage,
    generate_uid,
)

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def tilted(degrees: float) -> tuple[float, ...]:
    """Return the orientation of slices of a gantry tilted about x; their positions still go along z."""
    angle = np.radians(degrees)
    return 1, 0, 0, 0, float(np.cos(angle)), float(np.sin(angle))


def numbers(values: Sequence[float]) -> list[str]:
    """Return decimal strings of at most 16 characters."""
    return [f"{value:.8g}" for value in values]


def item(**attributes: object) -> Dataset:
    """Make a data set of these attributes, by their keywords."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def reference(storage: str, uid: str) -> Dataset:
    """Refer to an object by class and UID."""
    return item(ReferencedSOPClassUID=storage, ReferencedSOPInstanceUID=uid)


def instance(storage: str, modality: str, study: str, frame_of_reference: str) -> Dataset:
    """Make an object with patient, study, series and equipment, and no content."""
    made = item(SOPClassUID=storage, SOPInstanceUID=generate_uid(), Modality=modality, StudyInstanceUID=study)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "TEST^CASE", "T1", "", "O"
    made.StudyID, made.AccessionNumber, made.ReferringPhysicianName = "1", "", ""
    for date in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(made, date, "20200102")
        setattr(made, date.replace("Date", "Time"), "101112")
    made.SeriesInstanceUID, made.FrameOfReferenceUID = generate_uid(), frame_of_reference
    made.PositionReferenceIndicator, made.Manufacturer, made.ManufacturerModelName = "", "TEST", "TEST"
    made.DeviceSerialNumber, made.SoftwareVersions, made.OperatorsName = "1", "1", ""
    made.BodyPartExamined = "HEAD"
    made.SeriesNumber, made.InstanceNumber = 1, 1
    return made


def fill(image: Dataset, pixels: np.ndarray, bits: int = 16) -> None:
    """Put pixels into an image: `[rows, columns]`, or with frames in front, of 16 bits."""
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape[-2:]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, bits, bits - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    image.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    image["PixelData"].VR = "OW"


def save(made: Dataset, path: Path | str) -> None:
    """Write an object as a DICOM file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)


def series(  # noqa: PLR0913
    folder: Path | str,
    positions: Sequence[Sequence[float]],
    pixels: Sequence[np.ndarray],
    *,
    modality: str = "CT",
    orientation: Sequence[float] = AXIAL,
    spacing: tuple[float, float] = (1, 1),
    thickness: float = 3,
    bits: int = 16,
    each: Sequence[dict[str, object]] = (),
    **attributes: object,
) -> list[Dataset]:
    """Write a series of single slices `000.dcm`, `001.dcm`, ..., numbered from 1 in this order.

    Args:
        folder: New folder.
        positions: ImagePositionPatient of each slice.
        pixels: `[rows, columns]` of each slice, 16 bits.
        modality: CT or MR.
        orientation: ImageOrientationPatient.
        spacing: PixelSpacing: between rows, between columns.
        thickness: SliceThickness.
        bits: BitsStored.
        each: Further attributes of each slice.
        attributes: Further attributes of all slices.
    """
    study, uid, frame, made = generate_uid(), generate_uid(), generate_uid(), []
    for index, (position, stored) in enumerate(zip(positions, pixels, strict=True)):
        image = instance(CTImageStorage if modality == "CT" else MRImageStorage, modality, study, frame)
        image.SeriesInstanceUID, image.PatientPosition = uid, "HFS"
        image.InstanceNumber, image.AcquisitionNumber = index + 1, 1
        image.PixelSpacing, image.SliceThickness = numbers(spacing), numbers([thickness])[0]
        image.ImageOrientationPatient, image.ImagePositionPatient = numbers(orientation), numbers(position)
        if modality == "CT":
            image.ImageType, image.KVP = ["ORIGINAL", "PRIMARY", "AXIAL"], "120"
            image.RescaleSlope, image.RescaleIntercept, image.RescaleType = "1", "0", "HU"
        else:
            image.ImageType, image.ScanningSequence = ["ORIGINAL", "PRIMARY", "M"], "SE"
            image.SequenceVariant, image.ScanOptions, image.MRAcquisitionType = "NONE", "", "2D"
            image.RepetitionTime, image.EchoTime, image.EchoTrainLength = "3000", "20", 1
        fill(image, stored, bits)
        for keyword, value in {**attributes, **(each[index] if each else {})}.items():
            setattr(image, keyword, value)
        save(image, Path(folder) / f"{index:03}.dcm")
        made.append(image)
    return made


def enhanced(  # noqa: PLR0913
    path: Path | str,
    positions: Sequence[Sequence[float]],
    pixels: Sequence[np.ndarray],
    *,
    modality: str = "MR",
    orientation: Sequence[float] = AXIAL,
    spacing: tuple[float, float] = (1, 1),
    thickness: float = 5,
    in_stack: Sequence[int] = (),
    rescale: Sequence[tuple[float, float]] = (),
) -> Dataset:
    """Write an Enhanced CT or MR Image of one stack, whose frames may come in any order.

    Args:
        path: New file.
        positions: ImagePositionPatient of each frame.
        pixels: `[rows, columns]` of each frame, 16 bits.
        modality: CT or MR.
        orientation: ImageOrientationPatient, shared.
        spacing: PixelSpacing, shared.
        thickness: SliceThickness, shared.
        in_stack: InStackPositionNumber of each frame; the order of the frames if empty.
        rescale: Slope and intercept of each frame; 1 and 0 if empty.
    """
    storage = EnhancedCTImageStorage if modality == "CT" else EnhancedMRImageStorage
    made = instance(storage, modality, generate_uid(), generate_uid())
    kind = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    made.ImageType, made.PatientPosition = kind, "HFS"
    made.PixelPresentation, made.VolumetricProperties = "MONOCHROME", "VOLUME"
    made.VolumeBasedCalculationTechnique, made.ContentQualification = "NONE", "RESEARCH"
    made.AcquisitionDateTime, made.AcquisitionDuration = "20200102101112", 1.0
    if modality == "MR":
        made.MagneticFieldStrength, made.ResonantNucleus, made.KSpaceFiltering = 1.5, "1H", "NONE"
        made.ComplexImageComponent, made.AcquisitionContrast = "MAGNITUDE", "T1"
        made.ApplicableSafetyStandardAgency = "IEC"
    frame_type = item(FrameType=kind, PixelPresentation="MONOCHROME", VolumetricProperties="VOLUME")
    frame_type.VolumeBasedCalculationTechnique = "NONE"
    if modality == "MR":
        frame_type.ComplexImageComponent, frame_type.AcquisitionContrast = "MAGNITUDE", "T1"
    made.BurnedInAnnotation, made.LossyImageCompression, made.PresentationLUTShape = "NO", "00", "IDENTITY"
    made.AcquisitionContextSequence = []
    organisation = generate_uid()
    made.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    made.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=tag_for_keyword(keyword),
            FunctionalGroupPointer=tag_for_keyword("FrameContentSequence"),
        )
        for keyword in ("StackID", "InStackPositionNumber")
    ]
    measures = item(PixelSpacing=numbers(spacing), SliceThickness=numbers([thickness])[0])
    head = item(CodeValue="69536005", CodingSchemeDesignator="SCT", CodeMeaning="Head")
    anatomy = item(AnatomicRegionSequence=[head], FrameLaterality="U")
    shared = item(PixelMeasuresSequence=[measures], FrameAnatomySequence=[anatomy])
    setattr(shared, f"{modality}ImageFrameTypeSequence", [frame_type])
    if modality == "CT":
        shared.IrradiationEventIdentificationSequence = [item(IrradiationEventUID=generate_uid())]
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=numbers(orientation))]
    made.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index, position in enumerate(positions):
        place = in_stack[index] if in_stack else index + 1
        slope, intercept = rescale[index] if rescale else (1, 0)
        content = item(StackID="1", InStackPositionNumber=place, DimensionIndexValues=[1, place])
        content.FrameReferenceDateTime = content.FrameAcquisitionDateTime = "20200102101112"
        content.FrameAcquisitionDuration, content.FrameAcquisitionNumber = 1.0, 1
        scale = item(RescaleSlope=numbers([slope])[0], RescaleIntercept=numbers([intercept])[0])
        scale.RescaleType = "HU" if modality == "CT" else "US"
        group = item(FrameContentSequence=[content], PixelValueTransformationSequence=[scale])
        group.PlanePositionSequence = [item(ImagePositionPatient=numbers(position))]
        frames.append(group)
    made.PerFrameFunctionalGroupsSequence, made.NumberOfFrames = frames, len(frames)
    fill(made, np.stack(pixels))
    save(made, path)
    return made


def structures(path: Path | str, images: Sequence[Dataset], contours: Sequence[np.ndarray]) -> Dataset:
    """Write a structure set of one region, `a`; each contour is `[points, 3]` and lies in one slice."""
    return regions(path, images, {"a": contours})


def regions(
    path: Path | str, images: Sequence[Dataset], outlines: Mapping[str, Sequence[np.ndarray]]
) -> Dataset:
    """Write a structure set of several regions, numbered from 1 on, and their contours as in `structures`."""
    first = images[0]
    made = instance(RTStructureSetStorage, "RTSTRUCT", first.StudyInstanceUID, first.FrameOfReferenceUID)
    made.StructureSetLabel, made.StructureSetDate, made.StructureSetTime = "S", "20200102", "101112"
    made.ApprovalStatus = "UNAPPROVED"
    to_images = [reference(image.SOPClassUID, image.SOPInstanceUID) for image in images]
    of_series = item(SeriesInstanceUID=first.SeriesInstanceUID, ContourImageSequence=to_images)
    of_study = reference("1.2.840.10008.3.1.2.3.1", first.StudyInstanceUID)
    of_study.RTReferencedSeriesSequence = [of_series]
    frame = item(FrameOfReferenceUID=first.FrameOfReferenceUID, RTReferencedStudySequence=[of_study])
    made.ReferencedFrameOfReferenceSequence = [frame]
    orientation = np.array(first.ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    heights = [float(np.array(image.ImagePositionPatient, float) @ normal) for image in images]
    made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
    for number, (name, contours) in enumerate(outlines.items(), 1):
        drawn = []
        for contour in contours:
            nearest = int(np.argmin(np.abs(np.array(heights) - contour[0] @ normal)))
            one = item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(contour))
            one.ContourImageSequence, one.ContourData = [to_images[nearest]], numbers(contour.ravel())
            drawn.append(one)
        region = item(ROINumber=number, ROIName=name, ROIGenerationAlgorithm="MANUAL")
        region.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        made.StructureSetROISequence.append(region)
        drawing = item(ReferencedROINumber=number, ROIDisplayColor=[255, 0, 0], ContourSequence=drawn)
        made.ROIContourSequence.append(drawing)
        observation = item(ObservationNumber=number, ReferencedROINumber=number)
        observation.RTROIInterpretedType, observation.ROIInterpreter = "ORGAN", ""
        made.RTROIObservationsSequence.append(observation)
    save(made, path)
    return made


def settle(seen: bool) -> None:
    """End a finding: fail if the behaviour is not the one that its head describes."""
    print("as described" if seen else "the behaviour has changed")
    sys.exit(not seen)
