from __future__ import annotations

from medtranslate.cli.scores import lines
from medtranslate.records import (
    Agreement,
    Cohort,
    Coverage,
    Evaluation,
    Registration,
    SliceScores,
    Tissue,
)


def test_a_result_says_where_it_errs() -> None:
    found = Evaluation(
        profile="synthrad2025",
        unit="HU",
        volume={"mae": 61.5, "psnr": 30.25, "ms_ssim": 0.9364},
        baselines={"mean image": {"mae": 150.0, "psnr": 22.0, "ms_ssim": 0.7}},
        slices=[SliceScores(index=k, scores={"mae": 50.0 + (k == 2)}) for k in range(5)],
        tissues={
            "air": Tissue(range_hu=(None, -200.0), share=0.5, representable=False),
            "soft tissue": Tissue(range_hu=(-200.0, 200.0), share=0.5, mae=20.0),
            "bone": Tissue(range_hu=(200.0, None), share=0.0, dice=0.5),
        },
        agreement=Agreement(bias=-3.0, limits=(-99.0, 97.0), wasserstein=5.5),
        unmasked={"mae": 20.0, "psnr": 35.0, "ms_ssim": 0.99},
    )
    assert lines(found) == [
        "profile synthrad2025: MAE 61.50 HU, PSNR 30.25 dB, MS-SSIM 0.936",
        "mean image: MAE 150.00 HU, PSNR 22.00 dB, MS-SSIM 0.700",
        "unmasked, background included: MAE 20.00 HU, PSNR 35.00 dB, MS-SSIM 0.990",
        "air not representable, soft tissue MAE 20.00 HU, bone none, Dice 0.500",
        "bias -3.00 HU, limits of agreement -99.00 to +97.00, Wasserstein distance of the histograms 5.50 HU",
        "worst slices by MAE, HU: 2 (51.00), 0 (50.00), 1 (50.00)",
    ]
    cohort = Cohort(items=[found], mean=found.volume, unmasked=found.unmasked, tissues=found.tissues)
    assert [line.split(":")[0] for line in lines(cohort)] == [
        "mean of 1",
        "unmasked, background included",
        "air not representable, soft tissue MAE 20.00 HU, bone none, Dice 0.500",
    ]


def test_a_result_says_how_its_reference_was_moved_and_what_its_uncertainty_is_worth() -> None:
    found = Evaluation(
        profile="image",
        unit="HU",
        volume={"mae": 61.5},
        reference=["moved rigidly to the source: rotation 3.00 degrees"],
        registration=Registration(
            target="source",
            matrix=((1.0, 0.0, 0.0, 0.0),) * 4,
            rotation_degrees=3.0,
            translation_mm=1.0,
            mutual_information={"after": 0.5},
            overlap=0.9,
            applied=True,
        ),
        coverage=Coverage(within_1_sd=0.3, within_2_sd=0.5, mean_sd=4.0),
    )
    assert lines(found)[1:] == [
        "reference moved rigidly to the source: rotation 3.00 degrees",
        "errors within one standard deviation 30.0% (normal errors: 68.3%), within two 50.0% (95.5%)",
    ]
