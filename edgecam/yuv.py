"""Pure functions on planar YUV 4:2:0 pictures: their planes, their colours, and the small picture made of them.

An I420 picture is uint8 [height * 3 // 2, width], C-contiguous, width and height even: height rows of Y, then the
quarter-size U and V planes. Colours are limited range (Y 16 to 235), BT.601 unless said otherwise. Pictures of an odd
width or height lose their last column or row on the way in: no pixel is ever invented.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.picture_pool import PICTURES

Image = NDArray[np.uint8]
Planes = tuple[Image, Image, Image]

#: Luma weights (Kr, Kb) of the two standards in use: ITU-R BT.601-7 section 2.5.1 and BT.709-6 section 3.2.
_BT601 = (0.299, 0.114)
_BT709 = (0.2126, 0.0722)


def _rgb_to_yuv_matrix(kr: float, kb: float) -> NDArray[np.float64]:
    """The 3x4 matrix from 8-bit RGB to limited-range Y, Cb, Cr (BT.601-7 section 2.5.3)."""
    luma = np.array([kr, 1 - kr - kb, kb])
    cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))
    cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - kr))
    scaled = np.stack([luma * 219, cb * 224, cr * 224]) / 255
    return np.hstack([scaled, [[16], [128], [128]]])


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.linalg.inv(matrix[:, :3])
    return np.hstack([linear, -linear @ matrix[:, 3:]])


_TO_YUV = _rgb_to_yuv_matrix(*_BT601)
_TO_RGB = _inverse(_TO_YUV)
_TO_RGB_BT709 = _inverse(_rgb_to_yuv_matrix(*_BT709))


def even(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) in pixels that remain of `size` when an odd last column or row is dropped."""
    return size[0] // 2 * 2, size[1] // 2 * 2


def blank(size: tuple[int, int]) -> Image:
    """A new I420 picture of (width, height) pixels, both even; its content is undefined."""
    width, height = size
    if width < 2 or height < 2 or width % 2 or height % 2:
        raise ValueError(f"picture of {width}x{height} pixels: I420 needs an even width and height of at least 2")
    return PICTURES.empty((height * 3 // 2, width))


def planes(image: Image) -> Planes:
    """The Y [h, w], U and V [h / 2, w / 2] planes of an I420 picture, as views: writing to them writes to the picture.

    Raises ValueError for an array that is not an I420 picture.
    """
    if image.ndim != 2 or image.shape[0] % 3 or image.shape[1] % 2 or not image.flags.c_contiguous:
        raise ValueError(f"array of shape {image.shape}: not a contiguous I420 picture [height * 3 // 2, width]")
    width, height = image.shape[1], image.shape[0] // 3 * 2
    flat, luma, half = image.reshape(-1), width * height, (height // 2, width // 2)
    chroma = luma + luma // 4
    return flat[:luma].reshape(height, width), flat[luma:chroma].reshape(half), flat[chroma:].reshape(half)


def i420_from_planes(source: Planes, size: tuple[int, int]) -> Image:
    """A new I420 picture of (width, height) pixels from planes that may be strided and of another size.

    Planes of the wanted size are copied (less an odd last row or column), others are stretched to it.
    """
    image = blank(size)
    same = even((source[0].shape[1], source[0].shape[0])) == size
    for target, plane in zip(planes(image), source, strict=True):
        if same:
            np.copyto(target, plane[: target.shape[0], : target.shape[1]])
        else:
            target[...] = shrink(plane, (target.shape[1], target.shape[0]))
    return image


def shrink(picture: Image, size: tuple[int, int], target: Image | None = None) -> Image:
    """`picture` [h, w] or [h, w, channels] at (width, height) pixels, larger or smaller, free of coarse aliasing.

    Halves each side, which averages two pixels exactly, while it is more than twice too large, then
    interpolates. At 1280x720 to 320x320 this costs what INTER_LINEAR costs, a fifth of INTER_AREA, and stays
    about twice as near to INTER_AREA as INTER_LINEAR does. `target`, contiguous, gets the result where it is given.
    """
    width, height = picture.shape[1], picture.shape[0]
    while width > 2 * size[0] or height > 2 * size[1]:
        width = (width + 1) // 2 if width > 2 * size[0] else width
        height = (height + 1) // 2 if height > 2 * size[1] else height
        picture = _resized(picture, (width, height))
    if (width, height) != size:
        return _resized(picture, size, target)
    if target is None:
        return picture
    target[...] = picture
    return target


def _resized(picture: Image, size: tuple[int, int], target: Image | None = None) -> Image:
    return np.asarray(cv2.resize(picture, size, dst=target, interpolation=cv2.INTER_LINEAR), np.uint8)


def lores_from_i420(image: Image, size: tuple[int, int], *, bt709: bool = False) -> Image:
    """The small RGB picture, uint8 [h, w, 3], of an I420 picture: `rgb_from_planes` of its planes."""
    return rgb_from_planes(planes(image), size, bt709=bt709)


def rgb_from_planes(source: Planes, size: tuple[int, int], *, bt709: bool = False) -> Image:
    """A new RGB picture, uint8 [h, w, 3], of planes that may be strided, stretched to `size` (width, height) in pixels.

    The planes are resized first and converted at the small size, so the cost does not grow with a conversion of
    the full picture. The small picture's chroma is of half its size, as in most pictures that models are trained on,
    and as a Pi's ISP makes it; not where a side is odd. `bt709` says that the colours are BT.709 (most HD files), not
    BT.601: OpenCV has no conversion of those, they cost a third more.
    """
    rgb = PICTURES.empty((size[1], size[0], 3))
    if bt709 or size[0] % 2 or size[1] % 2:
        small = cv2.merge([shrink(plane, size) for plane in source])
        cv2.transform(small, _TO_RGB_BT709 if bt709 else _TO_RGB, rgb)
        return rgb
    small = blank(size)
    for plane, target in zip(source, planes(small), strict=True):
        shrink(plane, (target.shape[1], target.shape[0]), target)
    cv2.cvtColor(small, cv2.COLOR_YUV2RGB_I420, rgb)
    return rgb


def i420_to_rgb(image: Image, size: tuple[int, int] | None = None) -> Image:
    """An I420 picture (BT.601) as RGB, uint8 [h, w, 3], at its own size or stretched to `size` (width, height)."""
    if size is not None:
        return lores_from_i420(image, size)
    planes(image)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_YUV2RGB_I420), np.uint8)


def rgb_to_i420(rgb: Image) -> Image:
    """An RGB picture, uint8 [h, w, 3], as a new I420 picture (BT.601); an odd last row or column is dropped.

    Chroma is the mean of each 2x2 block; OpenCV's own conversion takes one pixel of the four, which makes noise and
    edges shimmer. Raises ValueError for a picture that is smaller than 2x2 pixels or not RGB.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"array of shape {rgb.shape}: not an RGB picture [height, width, 3]")
    size = even((rgb.shape[1], rgb.shape[0]))
    image = blank(size)
    whole = np.ascontiguousarray(rgb[: size[1], : size[0]])
    y, u, v = planes(image)
    half = cv2.transform(_resized(whole, (size[0] // 2, size[1] // 2)), _TO_YUV)
    y[...] = cv2.cvtColor(whole, cv2.COLOR_RGB2YUV_I420)[: size[1]]
    u[...], v[...] = half[:, :, 1], half[:, :, 2]
    return image
