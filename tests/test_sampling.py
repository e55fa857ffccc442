"""kgan.sampling: what is drawn is decided without an engine."""

import numpy as np
import pytest
from PIL import Image

from kgan import images as pictures
from kgan.errors import KganError
from kgan.latents import sample_labels, sample_latents, slerp
from kgan.sampling import Sampling, StyleSampling, to_uint8

SHAPE, CHUNK = (2, 2, 1), 4


class Plain(Sampling):
    """Pixels are the first latents, and the class, if there is one."""

    def __init__(self, num_classes=None):
        self.image_shape, self.latent_dim, self.num_classes = SHAPE, 8, num_classes
        self.sizes = []

    @property
    def sample_chunk(self):
        return CHUNK

    def draw_chunk(self, latents, labels):
        self.sizes.append(len(latents))
        images = np.tanh(latents[:, :4].reshape(-1, *SHAPE))
        if labels is not None:
            images[:, 0, 0, 0] = labels / 10
        return images


class Styled(StyleSampling):
    """Ten styles (of images of 64 pixels), of which the picture shows the number of the seed."""

    def __init__(self):
        self.image_shape, self.latent_dim, self.num_classes = (64, 64, 1), 8, None

    @property
    def sample_chunk(self):
        return CHUNK

    @property
    def styles_shape(self):
        return 10, 8

    def styles_chunk(self, latents, labels, truncation=1.0):
        return np.repeat(truncation * latents[:, None], 10, axis=1)

    def draw_styles_chunk(self, styles):
        assert len(styles) == CHUNK
        images = np.zeros((CHUNK, 64, 64, 1))
        images[:, :10, 0, 0] = np.tanh(styles[:, :, 0])
        return images

    def draw_chunk(self, latents, labels, **options):
        return self.draw_styles_chunk(self.styles_chunk(latents, labels, **options))


def test_chunks_are_of_one_size_whatever_is_asked_for():
    plain = Plain()
    all_of_them = plain.sample(11, seed=3)
    assert plain.sizes == [CHUNK] * 3
    np.testing.assert_array_equal(plain.sample(5, seed=3), all_of_them[:5])
    np.testing.assert_array_equal(np.concatenate([*plain.iter_samples(11, 3, 2)]), all_of_them)
    np.testing.assert_array_equal(plain.render(sample_latents(3, 0, 11, 8)), all_of_them)


class TestShow:
    def test_grid_of_the_samples(self):
        shown = Plain().show(6, seed=3, columns=3, scale=1)
        assert isinstance(shown, Image.Image) and shown.mode == "L"
        expected = pictures.grid(Plain().sample(6, seed=3), 3)[..., 0]
        np.testing.assert_array_equal(np.asarray(shown), expected)
        assert shown._repr_png_().startswith(b"\x89PNG")

    def test_sixteen_are_drawn_large_enough_to_see(self):
        shown = Plain().show(seed=0, resample="nearest")
        assert shown.size == (8 * 18, 8 * 18)  # 2 pixels each, 8 times as large
        pixels = np.asarray(shown)
        assert (pixels[16:24, 16:24] == Plain().sample(1, seed=0)[0, 0, 0, 0]).all()
        side = Styled().show(4).size[0]
        assert pictures.SCREEN / 2 < side <= pictures.SCREEN

    def test_labels_and_options(self):
        shown = Plain(num_classes=5).show(2, seed=0, labels=[4, 1], columns=1, scale=1)
        samples = Plain(num_classes=5).sample(2, seed=0, labels=[4, 1])
        np.testing.assert_array_equal(np.asarray(shown), pictures.grid(samples, 1)[..., 0])
        one, other = (Styled().show(1, seed=0, truncation=t) for t in (0.1, 1.0))
        assert one.tobytes() != other.tobytes()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"n": 0},
            {"n": 2.5},
            {"n": None},
            {"seed": -1},
            {"columns": 0},
            {"scale": 0},
            {"scale": 65},
            {"scale": float("nan")},
            {"resample": "cubic"},
            {"labels": 1},
            {"truncation": 1.0},
            {"spelled": 1.0},
        ],
        ids=str,
    )
    def test_bad_input(self, wrong):
        (name,) = wrong
        with pytest.raises(KganError, match=rf"Expected .*{name}.* Received: "):
            Plain().show(**wrong)


class TestInterpolate:
    def test_the_way_leads_along_arcs_and_back(self):
        frames = Plain().interpolate([5, 6, 9], frames=9, images=6)
        assert frames.shape == (9, 6, *SHAPE) and frames.dtype == np.uint8
        stops = [sample_latents(seed, 0, 6, 8) for seed in (5, 6, 9)]
        for frame, (start, stop, t) in enumerate(
            (start, stop, t / 3) for start, stop in ((0, 1), (1, 2), (2, 0)) for t in range(3)
        ):
            z = slerp(stops[start], stops[stop], t).astype(np.float32)
            expected = to_uint8(np.tanh(z[:, :4].reshape(-1, *SHAPE)))
            np.testing.assert_array_equal(frames[frame], expected, err_msg=str(frame))

    def test_frames_need_be_no_multiple_of_the_seeds(self):
        plain = Plain()
        frames = plain.interpolate([5, 6, 9], frames=7)
        np.testing.assert_array_equal(frames[0], plain.sample(1, seed=5))
        steps = np.abs(np.diff(frames.astype(int), axis=0)).max((1, 2, 3, 4))
        assert (steps > 0).all()

    def test_classes_stay_the_same(self):
        frames = Plain(num_classes=7).interpolate([5, 6], frames=4, images=6)
        classes = sample_labels(5, 0, 6, 7)
        levels = to_uint8((classes / 10).reshape(6, 1, 1, 1)).ravel()
        assert (frames[:, :, 0, 0, 0] == levels).all()
        assert (
            Plain(7).interpolate([5, 6], 4, 3, labels=2)[..., 0, 0, 0] == to_uint8(np.array([0.2]))
        ).all()

    def test_styles_go_straight(self):
        frames = Styled().interpolate([1, 2], frames=4, truncation=0.5)
        start, stop = (0.5 * sample_latents(seed, 0, 1, 8)[0, 0] for seed in (1, 2))
        expected = [start, (start + stop) / 2, stop, (start + stop) / 2]
        shown = frames[:, 0, :10, 0, 0]
        assert (shown == to_uint8(np.tanh(expected))[:, None]).all()

    @pytest.mark.parametrize("images", [1, 2, 3, 6])
    def test_frames_fill_chunks_together(self, images):
        plain = Plain(num_classes=7)
        frames = list(plain.iter_interpolation([5, 6], frames=9, images=images))
        assert len(plain.sizes) == -(-9 // (CHUNK // images or 1)) * -(-images // CHUNK)
        np.testing.assert_array_equal(frames, plain.interpolate([5, 6], 9, images))

    def test_frames_are_drawn_as_they_are_asked_for(self):
        plain = Plain()
        next(plain.iter_interpolation([5, 6], frames=10**9))
        assert plain.sizes == [CHUNK]
        with pytest.raises(KganError, match="frames=1,000,000,000,000.*iter_interpolation gives"):
            plain.interpolate([5, 6], frames=10**12)

    @pytest.mark.parametrize(
        "wrong, message",
        [
            ({"seeds": [1]}, "number of seeds to be an int >= 2"),
            ({"seeds": 3}, "seeds to be a list"),
            ({"seeds": [1, -2]}, "seeds to be a list"),
            ({"frames": 1}, "frames to be an int >= 2"),
            ({"images": 0}, "images to be an int >= 1"),
            ({"labels": 1}, "Expected no labels"),
            ({"truncation": 0.5}, "Expected no truncation"),
        ],
    )
    def test_bad_arguments(self, wrong, message):
        with pytest.raises(KganError, match=message):
            Plain().interpolate(**{"seeds": [1, 2], **wrong})


class TestRenderStyles:
    def test_styles_of_latents_give_their_images(self):
        latents = sample_latents(3, 0, 6, 8)
        styles = np.repeat(latents[:, None], 10, axis=1)
        images = Styled().render_styles(styles.tolist())
        np.testing.assert_array_equal(images, Styled().render(latents))

    @pytest.mark.parametrize(
        "styles", [np.zeros((10, 8)), np.zeros((2, 9, 8)), np.zeros((2, 10, 7)), np.zeros((2, 8))]
    )
    def test_other_shapes_are_refused(self, styles):
        with pytest.raises(KganError, match=r"Expected styles \(n, 10, 8\)"):
            Styled().render_styles(styles)


class TestMix:
    @pytest.mark.parametrize(
        "layers, of_column",
        [("coarse", range(3)), ("middle", range(3, 7)), ("fine", range(7, 10))],
    )
    def test_layers_are_those_of_the_column(self, layers, of_column):
        images = Styled().mix([1, 2], [3, 4, 5], layers)
        assert images.shape == (2, 3, 64, 64, 1)
        level = {
            seed: to_uint8(np.tanh(sample_latents(seed, 0, 1, 8)[0, :1]))[0] for seed in range(6)
        }
        for i, row in enumerate((1, 2)):
            for j, column in enumerate((3, 4, 5)):
                expected = [level[column if k in of_column else row] for k in range(10)]
                assert images[i, j, :10, 0, 0].tolist() == expected

    @pytest.mark.parametrize("side, count", [(16, 6), (32, 8), (64, 10), (128, 12), (256, 14)])
    def test_every_layer_is_of_one_kind_at_any_size(self, side, count):
        styled = Styled()
        styled.image_shape = (side, side, 1)
        kinds = [styled._styles_of(name, count) for name in ("coarse", "middle", "fine")]
        assert (np.sum(kinds, axis=0) == 1).all() and all(kind.any() for kind in kinds)

    @pytest.mark.parametrize(
        "wrong, message",
        [
            ({"rows": []}, "rows to be a list"),
            ({"columns": [1.5]}, "columns to be a list"),
            ({"layers": "all"}, "layers to be one of"),
            ({"truncation": 3}, "truncation to be a number"),
            ({"labels": [0, 1]}, "labels to be one class"),
        ],
    )
    def test_bad_arguments(self, wrong, message):
        with pytest.raises(KganError, match=message):
            Styled().mix(**{"rows": [1], "columns": [2], **wrong})
