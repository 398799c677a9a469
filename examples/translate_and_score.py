"""Translate an MR into a CT, look at the record, write the result, and score it.

    python examples/translate_and_score.py study/mr study/ct synthetic-ct

Inputs are paths of any format that medtranslate reads: a DICOM folder, .nii.gz, .mha, .nrrd or .mgz.
"""

import sys

import medtranslate as mt

mr_path, ct_path, output = sys.argv[1:]
mr = mt.read(mr_path, modality="mr")
ct = mt.translate(mr, to="ct", model="phantom", samples=8)

print("model:", ct.record.model.name)
print("gate:", ct.record.gate.verdict)
for doubt in ct.record.doubts:
    print("doubtful:", doubt)

truth = mt.read(ct_path, modality="ct")
result = mt.score(ct, truth)
print(f"MAE {result.volume['mae']:.1f} {result.unit}, SSIM {result.volume['ssim']:.3f}")
print("errors within two standard deviations:", f"{result.coverage.within_2_sd:.0%}")

mt.write(ct, output)
