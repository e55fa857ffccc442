"""What kgan cannot run on is refused in one line. (Another backend: see test_import.)"""


def test_channels_first_is_refused(run_python, tmp_path):
    code = "import keras; keras.config.set_image_data_format('channels_first'); import kgan.models"
    done = run_python("-c", code, cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: kgan's images are (batch, height, width, channels).")
    assert "Received: image_data_format 'channels_first'" in last
