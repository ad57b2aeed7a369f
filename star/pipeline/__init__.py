"""STAR at work on films of any length and size, in memory that does not grow with either.

A scene streams through a chain: encode, one stage for each step of the sampler, decode. Each stage
works in windows of frames that overlap and are blended (`stream.blended`), and holds one window; so
every frame is blended at every step, a long scene needs no seams, and what comes out is what a walk
over the whole scene at once would give. `models` says what a model has to be, `chain` joins it all.
"""
