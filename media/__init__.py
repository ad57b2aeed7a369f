"""Exact reading and writing of video: probe, frames by index, lossless takes, masters, comparison."""
