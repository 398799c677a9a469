"""Times the profile `synthrad2025` beside the same kind of scores in a few lines of NumPy.

    python -m benchmarks.speed.metrics --shape 256 256 200

The other side is MAE, PSNR and, on each of five scales, one SSIM with a uniform window over the whole volume
in double precision (scipy.ndimage), without the profile's mask, padding, weights and averaging between the
scales. Both take turns; times are the fastest of each, in s. Memory is the peak of what Python held,
inputs included, in copies of one volume in single precision. The last line is one JSON object; a ratio
below 1 means that ours is faster.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.metrics import WHOLE_CT, Values, Voxels, score

SCALES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 256, 200))
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    images = pair(*options.shape)
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: score(*images, WHOLE_CT, "synthrad2025"),
        "plain": lambda: plain_scores(*images),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.turns):
        for name, act in sides.items():
            started = time.perf_counter()
            act()
            times[name].append(time.perf_counter() - started)
    copies = {name: peak(act, images) for name, act in sides.items()}
    print("| side | fastest, s | slowest, s | peak memory, copies |\n| --- | --- | --- | --- |")
    for name, seconds in times.items():
        print(f"| {name} | {min(seconds):.2f} | {max(seconds):.2f} | {copies[name]:.1f} |")
    best = {name: min(seconds) for name, seconds in times.items()}
    print(
        json.dumps(
            {
                "ratio": round(best["ours"] / best["plain"], 2),
                "ours_s": round(best["ours"], 2),
                "plain_s": round(best["plain"], 2),
                "peak_copies": round(copies["ours"], 1),
                "volume_mib": round(images[0].nbytes / 2**20, 1),
            }
        )
    )


def pair(x: int, y: int, z: int) -> tuple[Values, Values, Voxels]:
    """Make a ball of textured tissue in bone in air, its noisy copy, and a mask; slices are contiguous."""
    axes = np.meshgrid(*(np.linspace(-1.3, 1.3, n, dtype=np.float32) for n in (z, y, x)), indexing="ij")
    radius = np.sqrt(sum(axis * axis for axis in axes))
    rng = np.random.default_rng(0)
    reference = np.where(radius < 0.85, 40.0, np.where(radius < 1, 1100.0, -1000.0))
    reference += rng.normal(0, 15, radius.shape)
    prediction = reference + rng.normal(20, 80, radius.shape)
    return prediction.astype(np.float32).T, reference.astype(np.float32).T, (radius < 1.15).T


def plain_scores(prediction: Values, reference: Values, mask: Voxels) -> tuple[float, float, float]:
    """Compute MAE, PSNR and the product over the scales of a plain SSIM."""
    low, high = WHOLE_CT
    fake, real = prediction.T, reference.T
    mae = float(np.abs(fake - real)[mask.T].mean())
    fake, real = fake.clip(low, high), real.clip(low, high)
    psnr = 10 * np.log10((high - low) ** 2 / np.square(fake - real)[mask.T].mean())
    product, scaled = 1.0, [fake.astype(np.float64) - low, real.astype(np.float64) - low]
    for _ in range(SCALES):
        product *= ssim(scaled[0], scaled[1], high - low)
        scaled = [volume[::2, ::2, ::2] for volume in scaled]
    return mae, float(psnr), product


def ssim(one: NDArray[np.float64], two: NDArray[np.float64], width: float) -> float:
    """Compute SSIM with a uniform window of 7 voxels along each axis, mean over the volume."""
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    a, b = (ndimage.uniform_filter(volume, 7) for volume in (one, two))
    aa = ndimage.uniform_filter(one * one, 7) - a * a
    bb = ndimage.uniform_filter(two * two, 7) - b * b
    ab = ndimage.uniform_filter(one * two, 7) - a * b
    return float((((2 * a * b + c1) * (2 * ab + c2)) / ((a * a + b * b + c1) * (aa + bb + c2))).mean())


def peak(act: Callable[[], object], images: tuple[Values, Values, Voxels]) -> float:
    """Measure peak memory in copies of a volume, the three inputs included."""
    tracemalloc.start()
    act()
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (held + sum(image.nbytes for image in images)) / images[0].nbytes


if __name__ == "__main__":
    main()
