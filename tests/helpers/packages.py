"""Packages that are installed as far as Python is concerned: a folder with a module and its metadata."""


def install(folder, name, entry_points, modules=None):
    """Write a package into `folder`, to be put on the path; gives `folder`.

    `entry_points` are {name: "module:callable"} of our group, `modules` are {name: source}.
    """
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{key} = {value}" for key, value in entry_points.items()]
    (metadata / "entry_points.txt").write_text("[openmm_mdgen.generators]\n" + "\n".join(lines) + "\n")
    for module, source in (modules or {}).items():
        (folder / f"{module}.py").write_text(source)
    return folder
