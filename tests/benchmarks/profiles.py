"""Where the time of a training step goes: TensorFlow's own record of it, by kind of operation."""

import collections
import tempfile
from pathlib import Path
from typing import Any

import contestants

from kgan.cli.quiet import import_tensorflow


def by_operation(steps: int, **specification: Any) -> list[dict[str, Any]]:
    """Milliseconds of a step of `fit`, a row for each kind of operation, the longest first.

    They are summed over threads: operations beside each other count both.

    Args:
        steps: to average over.
        **specification: of `contestants.fit`.
    """
    import_tensorflow(begin=False)
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    work, _, _ = contestants.fit(**specification)
    work(4)
    with tempfile.TemporaryDirectory() as directory:
        with tf.profiler.experimental.Profile(directory):
            work(steps)
        (file,) = Path(directory).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    milliseconds: collections.Counter = collections.Counter()
    calls: collections.Counter = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            node, _, kind = name.rpartition(":")  # as in "discriminator/conv2d/Conv2D:Conv2D"
            if node and kind.isidentifier() and "::" not in name:
                milliseconds[kind] += event.duration_ps / 1e9 / steps
                calls[kind] += 1 / steps
    return [
        {**specification, "name": kind, "ms": value, "calls": calls[kind]}
        for kind, value in milliseconds.most_common()
    ]
