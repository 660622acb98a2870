"""The velocity network's architecture, in one frozen dataclass."""

from dataclasses import dataclass

from openmm_mdgen.errors import MDGenError

TIME_MIXERS = ("attention", "bidirectional_hyena", "hyena")


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes and switches of a `VelocityNetwork`; saved with its weights.

    Parameters
    ----------
    token_width : int
        D, channels of a token without residue-type channels: 7 per key frame + 14.
    n_key_frames : int
        1 or 2; with 2 the residue context is built from both.
    width, n_layers, n_heads : int
        Embedding width C, layers (of the trunk and of the IPA stack), attention heads.
    ipa_heads, ipa_head_width, ipa_points, ipa_value_points : int
        Invariant point attention: heads, channels a head, query/key points, value points.
    max_residues : int
        Longest chain; with `position_embedding` every chain has exactly this length.
    n_frames : int
        Frames the weights were trained on; the longest filter of ``"hyena"``.
    time_mixer : {"attention", "bidirectional_hyena", "hyena"}
        What mixes the frames of one residue. ``"hyena"`` is the anti-causal one of published checkpoints.
    position_embedding, frame_embedding : bool
        Adds a fixed table over residue numbers, over frame numbers.
    rotary : bool
        Rotary position embedding in every attention.
    sink_has_position : bool
        The learned extra key takes part in the rotation, at the position after the last token, as in published
        checkpoints. False leaves it without position, so that it means the same at every length.
    residue_types : bool
        Whether the network is told the residue types.
    termini : bool
        Whether the network is told which ends of a chain are capped. Without it, omega and phi of the first residue,
        which a cap defines, are not generated.
    designs : bool
        Whether tokens carry 20 more channels, a point on the simplex of residue types.
    prepend_ipa, interleave_ipa : bool
        Point attention once over the key frames, and at the start of every trunk layer.
    time_multiplier : float
        Factor of the flow coordinate, before its sinusoids are taken.
    start_in_every_frame : bool
        Whether the known tokens of the first frame are given to the network in every frame.
    temperature : bool
        Whether the network is told the temperature.
    """

    token_width: int = 21
    n_key_frames: int = 1
    width: int = 384
    n_layers: int = 5
    n_heads: int = 16
    ipa_heads: int = 4
    ipa_head_width: int = 32
    ipa_points: int = 8
    ipa_value_points: int = 8
    max_residues: int = 4
    n_frames: int = 1000
    time_mixer: str = "attention"
    position_embedding: bool = True
    frame_embedding: bool = False
    rotary: bool = True
    sink_has_position: bool = False
    residue_types: bool = True
    designs: bool = False
    prepend_ipa: bool = True
    interleave_ipa: bool = False
    time_multiplier: float = 100.0
    start_in_every_frame: bool = False
    termini: bool = False
    temperature: bool = False

    def __post_init__(self) -> None:
        if self.width % (2 * self.n_heads):
            raise MDGenError(
                f"width {self.width} with {self.n_heads} heads: take a multiple of twice the {self.n_heads} heads, "
                f"such as {max(1, round(self.width / (2 * self.n_heads))) * 2 * self.n_heads}"
            )
        if self.time_mixer not in TIME_MIXERS:
            raise MDGenError(f"time_mixer is one of {', '.join(TIME_MIXERS)}, not {self.time_mixer!r}")
        if self.n_key_frames not in (1, 2):
            raise MDGenError("n_key_frames is 1 or 2")
        if self.termini and not self.prepend_ipa:
            raise MDGenError("termini are told in the residue context: they need prepend_ipa")

    @property
    def chain_lengths(self) -> str:
        """The lengths of chain that the network takes, in words for messages."""
        return f"{'exactly' if self.position_embedding else 'at most'} {self.max_residues}"

    def takes(self, n_residues: int) -> bool:
        """Whether a chain of that length can be given to the network."""
        return n_residues == self.max_residues or (n_residues < self.max_residues and not self.position_embedding)
