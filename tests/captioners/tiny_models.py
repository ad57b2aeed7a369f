"""Tiny randomly initialised captioning models, saved as a hub would give them: what they say is noise.

A BLIP (a caption of one image), a Qwen2-VL and a SmolVLM2 (chats about frames of a video), with real
processors and tokenizers made here, so that the whole path of transformers runs: files, processor, batch,
generate.
"""

import json
from pathlib import Path

__all__ = ["tiny_blip", "tiny_qwen", "tiny_smolvlm"]

_WORDS = [
    *[
        "a",
        "the",
        "man",
        "woman",
        "horse",
        "dog",
        "street",
        "house",
        "walks",
        "stands",
        "runs",
        "on",
    ],
    *[
        "in",
        "near",
        "of",
        "and",
        "with",
        "gray",
        "bright",
        "dark",
        "train",
        "river",
        "child",
        "two",
    ],
    *["old", "tree", "describe", "scene", "frames", "video", "what", "is", "shown"],
]
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }} "
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
)

_SMOL_CHAT = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'video' %}<video>{% elif content['type'] == 'image' %}<image>"
    "{% else %}{{ content['text'] }}{% endif %}{% endfor %}<end_of_utterance>{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)


def tiny_blip(folder: Path) -> Path:
    """Save a BLIP of 0.1 M parameters; return its folder."""
    import torch
    from transformers import (
        BertTokenizerFast,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *_WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    size = {"height": 32, "width": 32}
    processor = BlipProcessor(BlipImageProcessor(size=size), tokenizer)
    text = {
        "vocab_size": len(vocabulary), "hidden_size": 32, "encoder_hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
        "bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3,
        "max_position_embeddings": 64, "projection_dim": 32,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "projection_dim": 32,
        "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=32)
    config.image_text_hidden_size = 32
    torch.manual_seed(3)
    model = BlipForConditionalGeneration(config)
    for parameter in model.parameters():  # so that what is seen decides what is said
        parameter.data.mul_(8)
    model.save_pretrained(folder, safe_serialization=True)
    processor.save_pretrained(folder)
    return folder


def tiny_qwen(folder: Path) -> Path:
    """Save a Qwen2-VL of 0.1 M parameters; return its folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    special = [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
        "<|image_pad|>", "<|video_pad|>", "[UNK]",
    ]  # fmt: skip
    words = [*special, "user", "assistant", *_WORDS]
    word_level = models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]")  # noqa: S106
    base = Tokenizer(word_level)
    base.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base, pad_token="<|endoftext|>", eos_token="<|im_end|>",  # noqa: S106
        unk_token="[UNK]", additional_special_tokens=special[1:-1],  # noqa: S106
    )  # fmt: skip
    pixels = {"min_pixels": 28 * 28, "max_pixels": 56 * 56}
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(**pixels), tokenizer, Qwen2VLVideoProcessor(**pixels),
        chat_template=_CHAT,
    )  # fmt: skip
    text = {
        "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        "rope_parameters": {
            "rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6,
        },
    }  # fmt: skip
    vision = {
        "depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2,
        "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
    }  # fmt: skip
    config = Qwen2VLConfig(
        text_config=text, vision_config=vision, image_token_id=5, video_token_id=6,
        vision_start_token_id=3, vision_end_token_id=4,
    )  # fmt: skip
    torch.manual_seed(5)
    model = Qwen2VLForConditionalGeneration(config)
    for parameter in model.parameters():
        parameter.data.mul_(6)
    model.generation_config.pad_token_id = 0
    model.generation_config.eos_token_id = 2
    folder.mkdir(parents=True)
    model.save_pretrained(folder, safe_serialization=True)
    processor.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen2_vl"
    return folder


def tiny_smolvlm(folder: Path) -> Path:
    """Save a SmolVLM2 (video by frames and timestamps) of 0.1 M parameters; return its folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)]
    special = [
        "<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
        "<global-img>", *tiles, "[UNK]",
    ]  # fmt: skip
    words = [*special, "User", "Assistant", ":", "Frame", "from", "00", "01", "02", *_WORDS]
    word_level = models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]")  # noqa: S106
    base = Tokenizer(word_level)
    base.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base, pad_token="<|endoftext|>", eos_token="<end_of_utterance>",  # noqa: S106
        bos_token="<|im_start|>", unk_token="[UNK]", additional_special_tokens=special[1:-1],  # noqa: S106
    )  # fmt: skip
    size = {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 32}}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(do_image_splitting=False, **size), tokenizer,
        SmolVLMVideoProcessor(**size, fps=1, num_frames=8), image_seq_len=4,
        chat_template=_SMOL_CHAT,
    )  # fmt: skip
    text = {
        "model_type": "llama", "vocab_size": len(words), "hidden_size": 32,
        "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "bos_token_id": 1,
        "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
    }  # fmt: skip
    config = SmolVLMConfig(
        text_config=text, vision_config=vision, image_token_id=4, scale_factor=2, pad_token_id=0
    )
    torch.manual_seed(7)
    model = SmolVLMForConditionalGeneration(config)
    for parameter in model.parameters():
        parameter.data.mul_(4)
    model.generation_config.pad_token_id = 0
    model.generation_config.eos_token_id = 2
    folder.mkdir(parents=True)
    model.save_pretrained(folder, safe_serialization=True)
    processor.save_pretrained(folder)
    return folder
