"""The network of all methods: a 3D U-Net that starts as the identity and learns what to add.

Its first step folds each block of 2 x 2 x 2 voxels into channels, and its last unfolds them: the convolutions over
voxels one by one cost most of a plain U-Net (Çiçek et al. 2016, 10.1007/978-3-319-46723-8_49) and see nothing that
those over blocks do not.
"""

from torch import Tensor, nn
from torch.nn.functional import interpolate

FOLD = 2
MULTIPLE = 8
"""What the sides of a volume must be multiples of."""


class UNet(nn.Module):
    """Volumes (n, 1, z, y, x) to volumes of that shape, sides multiples of `MULTIPLE`.

    `channels` of the blocks; twice and three times as many one and two levels down.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        one, two, three = channels, 2 * channels, 3 * channels
        self.enter = nn.Conv3d(FOLD**3, one, 3, padding=1)
        self.down1 = Residual(one)
        self.to2 = nn.Conv3d(one, two, 2, stride=2)
        self.down2 = Residual(two)
        self.to3 = nn.Conv3d(two, three, 2, stride=2)
        self.deep = nn.Sequential(Residual(three), Residual(three))
        self.from3 = nn.Conv3d(three, two, 1)
        self.up2 = Residual(two)
        self.from2 = nn.Conv3d(two, one, 1)
        self.up1 = Residual(one)
        self.leave = nn.Conv3d(one, FOLD**3, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        if self.leave.bias is not None:
            nn.init.zeros_(self.leave.bias)

    def forward(self, volume: Tensor) -> Tensor:
        """Return the volume and what the network adds to it."""
        first = self.down1(self.enter(fold(volume)))
        second = self.down2(self.to2(first))
        third = self.deep(self.to3(second))
        second = self.up2(second + _twice(self.from3(third)))
        first = self.up1(first + _twice(self.from2(second)))
        added: Tensor = unfold(self.leave(first))
        return volume + added


class Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)
        self.activation = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        added: Tensor = self.second(self.activation(self.first(features)))
        activated: Tensor = self.activation(features + added)
        return activated


def fold(volume: Tensor) -> Tensor:
    """Return (n, 1, z, y, x) as (n, 8, z / 2, y / 2, x / 2)."""
    n, _, z, y, x = volume.shape
    blocks = volume.reshape(n, z // FOLD, FOLD, y // FOLD, FOLD, x // FOLD, FOLD)
    return blocks.permute(0, 2, 4, 6, 1, 3, 5).reshape(n, FOLD**3, z // FOLD, y // FOLD, x // FOLD)


def unfold(blocks: Tensor) -> Tensor:
    """Return what `fold` made of a volume as that volume."""
    n, _, z, y, x = blocks.shape
    parts = blocks.reshape(n, FOLD, FOLD, FOLD, z, y, x).permute(0, 4, 1, 5, 2, 6, 3)
    return parts.reshape(n, 1, z * FOLD, y * FOLD, x * FOLD)


def _twice(features: Tensor) -> Tensor:
    return interpolate(features, scale_factor=2.0, mode="nearest")
