"""Numbers in space, of no user's molecule: residue tables, rotations and rigids, heavy atoms from torsions and back."""
