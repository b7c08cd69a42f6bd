"""A small network of tokens, and modules that put out what is no plain tensor."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from fexp_store.networks.architecture import Architecture
from fexp_store.networks.architectures import ARCHITECTURES
from fexp_store.networks.preprocessing import Preprocessing

SIDE, DIM = 32, 6
TOKENS = 1 + 2 + 16
"""A class token, two registers, and 4 x 4 patches."""


@dataclass
class Out:
    """What libraries put out in the place of a tensor."""

    loss: torch.Tensor | None
    hidden: torch.Tensor


class Block(nn.Module):
    """Attention, and an activation that is used twice; its output is a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(DIM, 2, batch_first=True)
        self.act = nn.ReLU()
        self.linear = nn.Linear(DIM, DIM)
        self.heads = nn.Identity()

    def forward(self, x: torch.Tensor) -> Out:
        """Attend, and mix dimensions."""
        x = x + self.attention(x, x, x)[0]
        self.heads(x.unflatten(2, (2, 3)).transpose(1, 2))
        return Out(None, self.act(self.linear(self.act(x))))


class SmallViT(nn.Module):
    """A vision transformer with a class token and two registers, for one size of input only."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, DIM, 8, 8)
        self.cls_token = nn.Parameter(torch.ones(1, 1, DIM))
        self.reg_token = nn.Parameter(torch.ones(1, 2, DIM))
        self.place_weight = nn.Parameter(torch.ones(TOKENS, DIM))
        self.patches = nn.Identity()
        self.tokens = nn.Identity()
        self.block = Block()
        self.windows = nn.Identity()
        self.turned = nn.Identity()
        self.recurrent = nn.LSTM(DIM, 3, bias=False, batch_first=True)
        self.by_step = nn.LSTM(DIM, 3, bias=False)
        self.unused = nn.Linear(2, 2)
        self.number = nn.Identity()
        self.head = nn.Linear(DIM, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify; every module on the way shows another kind of output."""
        patches = self.patches(self.patch(x).flatten(2).transpose(1, 2))
        lead = torch.cat([self.cls_token, self.reg_token], 1).expand(len(x), -1, -1)
        x = self.tokens(torch.cat([lead, patches], 1) * self.place_weight)
        x = self.block(x).hidden
        self.windows(x[:, 3:].unflatten(1, (4, 4)).flatten(0, 1))
        self.turned(x.transpose(1, 2))
        self.recurrent(x)
        self.by_step(x.transpose(0, 1))
        self.number(x.mean((1, 2)))
        out: torch.Tensor = self.head(x[:, 0])
        return out


def allow_tokens(patch: pytest.MonkeyPatch) -> None:
    """Make the architecture ``tokens``, whose layers are all modules of `SmallViT`."""
    layers = {path: path for path, _ in SmallViT().named_modules() if path}
    patch.setitem(
        ARCHITECTURES,
        "tokens",
        Architecture(
            name="tokens",
            build=SmallViT,
            layers=layers,
            preprocessing=Preprocessing(SIDE, SIDE, (128.0,) * 3, (64.0,) * 3),
            training="none",
            read_weights=lambda _path: {},
        ),
    )
