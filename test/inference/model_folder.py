"""Writes a folder that vLLM takes for a model: a small Llama without weights, and a vocabulary trained on the licence.

usage: model_folder.py FOLDER   (vLLM draws the weights itself: --load-format dummy)
"""
import json
import pathlib
import sys

from vocabulary import special, template, trained, words

config = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": words,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "torch_dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}


def write(folder):
    trained().save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": special[0],
        "bos_token": special[1],
        "eos_token": special[2],
        "chat_template": template,
        "model_max_length": config["max_position_embeddings"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    (folder / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
