"""STAR, the denoiser: a text-to-video diffusion network that restores, exact to the published one.

The network is built from diffusers' own blocks; this package adds what diffusers lacks (LIEM, the
cropped upsampling, the video ControlNet, the sampler's schedule) and proves itself against recorded
numbers of the published network (`python -m star.parity`). It knows latents, tokens and tensors; films,
frames and files of video belong to `media`. Importing the package imports no torch.
"""

import logging

# Where bitsandbytes is installed, diffusers imports it, and it warns of a 4-bit kernel not used here.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
