"""Writes a GGUF file of about a megabyte: a Llama of random weights, with a vocabulary trained on the licence.

usage: model.py FILE LAYERS   (each layer makes a token take longer)
"""
import sys

import gguf
import numpy
from vocabulary import special, template, tokens_and_merges

width, heads, inner, context = 64, 4, 128, 4096


def write(path, layers):
    tokens, merges = tokens_and_merges()
    random = numpy.random.default_rng(7)

    def matrix(*shape):
        return (random.standard_normal(shape) * 0.4 / numpy.sqrt(shape[-1])).astype(numpy.float16)

    ones = numpy.ones(width, dtype=numpy.float32)
    file = gguf.GGUFWriter(path, "llama")
    file.add_name("tiny")
    file.add_context_length(context)
    file.add_embedding_length(width)
    file.add_block_count(layers)
    file.add_feed_forward_length(inner)
    file.add_head_count(heads)
    file.add_head_count_kv(heads)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(width // heads)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(tokens)
    file.add_token_types(
        [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    )
    file.add_token_merges(merges)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_pad_token_id(0)
    file.add_add_bos_token(False)
    file.add_chat_template(template)
    file.add_tensor("token_embd.weight", matrix(len(tokens), width) * numpy.float16(8))
    for at in range(layers):
        file.add_tensor(f"blk.{at}.attn_norm.weight", ones)
        file.add_tensor(f"blk.{at}.ffn_norm.weight", ones)
        for name, shape in {
            "attn_q": (width, width),
            "attn_k": (width, width),
            "attn_v": (width, width),
            "attn_output": (width, width),
            "ffn_gate": (inner, width),
            "ffn_up": (inner, width),
            "ffn_down": (width, inner),
        }.items():
            file.add_tensor(f"blk.{at}.{name}.weight", matrix(*shape))
    file.add_tensor("output_norm.weight", ones)
    file.add_tensor("output.weight", matrix(len(tokens), width) * numpy.float16(8))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
