"""Multi-head attention of which whole heads can be removed."""

from copy import deepcopy

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

fx.wrap("_numbers")  # it branches on values, so that a graph calls it as a whole


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) with a layer each for queries, keys, values and outputs.

    It is called as nn.MultiheadAttention is, and stands in for it. The number of heads is that of the rows of `q` over
    the `width` of a head, so that a head is removed by removing its rows and the columns of `out` that read it.
    """

    in_proj_bias = None  # what nn.TransformerEncoderLayer looks at, to see that it cannot bypass this module
    _qkv_same_embed_dim = False

    def __init__(
        self,
        dim: int,
        heads: int,
        causal: bool = False,
        dropout: float = 0.0,
        batch_first: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim={dim} cannot be shared out among heads={heads}: choose a multiple of the heads")
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim, bias) for _ in range(4))
        self.width, self.causal, self.dropout, self.batch_first = dim // heads, causal, dropout, batch_first

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """query (B, T, dim), key and value (B, S, dim) to outputs (B, T, dim); weights are never returned.

        Masks are nn.MultiheadAttention's, `key_padding_mask` (B, S) and `attn_mask` (T, S): True is not seen, numbers
        are added to the logits. Raises ValueError for a causal module with a mask, which it does not need, and for a
        mask of its own for each head, which would be wrong once heads are gone.
        """
        q, k, v = (self._by_head(of(x)) for of, x in ((self.q, query), (self.k, key), (self.v, value)))
        mask = _added(attn_mask, key_padding_mask, q.dtype)
        if self.causal and mask is not None:
            raise ValueError("a causal Attention takes no masks: pad on the right, or make it with causal=False")
        causal = self.causal or (is_causal and mask is None)
        dropout = self.dropout if self.training else 0.0
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal)
        outputs = self.out(heads.transpose(1, 2).flatten(2))
        return (outputs if self.batch_first else outputs.transpose(0, 1)), None

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, T, heads · width) to (B, heads, T, width)."""
        x = x if self.batch_first else x.transpose(0, 1)
        return x.unflatten(-1, (-1, self.width)).transpose(1, 2)


def _added(attn_mask: Tensor | None, key_padding_mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What is added to the logits (B, heads, T, S), or None."""
    padding = None if key_padding_mask is None else key_padding_mask[:, None, None, :]
    masks = [_numbers(mask, dtype) for mask in (attn_mask, padding) if mask is not None]
    return sum(masks[1:], masks[0]) if masks else None


def _numbers(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask that is added; ValueError for one of its own for each head."""
    if mask.dim() == 3:
        raise ValueError("attn_mask has 3 dimensions: give one (T, S) for all examples and heads")
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, -torch.inf) if mask.dtype == torch.bool else mask


def separate(model: nn.Module) -> nn.Module:
    """A copy of `model` with each nn.MultiheadAttention as an equal Attention, where there is one.

    Left as they are: those with extra keys, and those with keys or values of another size.
    """
    copy = deepcopy(model)
    for name, layer in list(copy.named_modules()):
        if isinstance(layer, nn.TransformerEncoder):
            layer.use_nested_tensor = False  # a shortcut that takes the weights of nn.MultiheadAttention
        if isinstance(layer, nn.MultiheadAttention) and _is_plain(layer):
            copy.set_submodule(name, _from_torch(layer))
    return copy


def _is_plain(layer: nn.MultiheadAttention) -> bool:
    extras = layer.bias_k is not None or layer.bias_v is not None or layer.add_zero_attn
    return layer._qkv_same_embed_dim and not extras


def _from_torch(layer: nn.MultiheadAttention) -> Attention:
    biased = layer.in_proj_bias is not None
    same = Attention(layer.embed_dim, layer.num_heads, False, layer.dropout, layer.batch_first, biased)
    same.to(layer.in_proj_weight).train(layer.training).requires_grad_(layer.in_proj_weight.requires_grad)
    state = {f"out.{name}": tensor for name, tensor in layer.out_proj.state_dict().items()}
    for kind, rows in (("weight", layer.in_proj_weight), ("bias", layer.in_proj_bias)):
        if rows is not None:
            state |= {f"{name}.{kind}": part for name, part in zip("qkv", rows.detach().chunk(3), strict=True)}
    same.load_state_dict(state)
    return same
