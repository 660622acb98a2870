"""The report: one file that stands alone, shows the evaluation's numbers, and says what is not defined."""

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import mdtraj
import numpy as np
import pytest
from openmm import Context, Platform, VerletIntegrator, unit

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, evaluate
from openmm_mdgen.analysis.torsions import torsion_histograms
from openmm_mdgen.errors import StateError
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.report import write_report
from openmm_mdgen.report.energies import energies
from openmm_mdgen.report.figures import readable
from openmm_mdgen.report.survey import N_SHOWN, overlay, survey
from torsion_walks import place, walk, well_angles

OPTIONS = {"lagtime": 5.0, "n_clusters": 20, "n_states": 3, "definitions": Definitions.SOUND}


class Page(HTMLParser):
    """All tags, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def reference():
    return place("VSA", walk(2000, 0))


@pytest.fixture(scope="module")
def generated():
    return place("VSA", walk(700, 50), interval=5.0)


@pytest.fixture(scope="module")
def evaluation(generated, reference):
    return evaluate(generated, reference, replicate=place("VSA", walk(2000, 90)), **OPTIONS)


@pytest.fixture(scope="module")
def page(evaluation, generated, reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, evaluation, generated, reference, title="VSA <b> & co", inputs={"generated": "a<script>.dcd"})
    return Page(path.read_text(encoding="utf-8"))


def test_nothing_outside_of_the_file_is_referred_to(page):
    for tag, attributes in page.tags:
        assert "href" not in attributes and tag not in ("link", "iframe", "object", "embed", "base")
        assert attributes.get("src", "data:").startswith("data:")
    policies = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies and policies[0].startswith("default-src 'none'")


def test_every_figure_is_a_drawing_that_can_be_read(page):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) >= 7  # equivalent time, one map, torsions, TICA, states, decorrelation, bonds, angles
    for image in images:
        kind, data = image["src"].split(",")
        assert kind == "data:image/svg+xml;base64" and image["alt"]
        drawing = ElementTree.fromstring(base64.b64decode(data))
        assert drawing.tag.endswith("svg") and len(list(drawing.iter())) > 50


def test_what_is_wider_than_a_phone_scrolls_by_itself(page):
    """Tables, and figures of many panels: each in something that scrolls, so that the page does not."""
    before = [(tag, attributes.get("class")) for tag, attributes in page.tags]
    assert all(before[k - 1] == ("div", "wide") for k, (tag, _) in enumerate(before) if tag == "table")
    assert sum(one == ("figure", "wide") for one in before) >= 4  # torsions, decorrelation, bonds, angles


def test_the_evaluation_s_numbers_are_shown(page, evaluation):
    for distances in (evaluation.jsd, evaluation.replicate_jsd):
        for value in (distances.torsions_all, distances.tica_0, distances.msm, *distances.per_torsion.values()):
            assert f"{value:.3f}" in page.text
    for name, relaxation in evaluation.relaxation.items():
        assert readable(name) in page.text and f"{relaxation.reference:.3g} ps" in page.text
    assert f"{evaluation.states.flux_correlation.spearman:.3f}" in page.text
    assert f"{evaluation.validity.generated.valid:.1%}" in page.text
    for package, version in evaluation.settings.versions.items():
        assert package in page.text and version in page.text


def test_text_of_the_user_is_text_and_not_markup(page):
    assert "VSA <b> & co" in page.text and "a<script>.dcd" in page.text
    assert [tag for tag, _ in page.tags].count("script") == 2 and ("b", {}) in page.tags


def test_what_is_not_defined_says_why(generated, reference, tmp_path):
    short = evaluate(generated[:30], reference[:40], lagtime=100.0)
    write_report(tmp_path / "short.html", short, generated[:30], reference[:40])
    text = Page((tmp_path / "short.html").read_text()).text
    for why in (short.states.why, short.equivalent_md_time.why, short.replicate.why):
        assert f"not defined: {why}" in text
    assert "nan" not in re.findall(r"\w+", text.lower())


def test_a_file_of_another_program_is_enough(generated, reference, tmp_path):
    """No times and no hydrogens: a PDB file with models."""
    heavy = reference.atom_slice(reference.topology.select("element != H"))
    heavy[:60].save_pdb(str(tmp_path / "models.pdb"))
    source = TrajectoryFile(tmp_path / "models.pdb", tmp_path / "models.pdb")
    evaluation = evaluate(source, reference, **OPTIONS)
    write_report(tmp_path / "report.html", evaluation, source, reference)
    text = Page((tmp_path / "report.html").read_text()).text
    assert "not defined: .pdb files do not store times" in text and "60" in text


def test_a_report_that_fails_leaves_no_file(evaluation, generated, reference, tmp_path):
    broken = mdtraj.Trajectory(generated.xyz.copy(), generated.topology, time=generated.time)
    broken.xyz[3, 4] = np.nan
    with pytest.raises(StateError, match="not finite"):
        write_report(tmp_path / "report.html", evaluation, broken, reference)
    assert not list(tmp_path.iterdir())


def test_a_longer_chain_shows_the_panels_that_differ_most(tmp_path):
    angles = {(k, "PSI"): well_angles(300, (-0.7, 2.4), (0.1, 0.1), k) for k in range(15)}
    reference = place("A" * 16, angles)
    other = place("A" * 16, angles | {(7, "PSI"): angles[7, "PSI"] + 1})
    evaluation = evaluate(other, reference, **OPTIONS)
    write_report(tmp_path / "report.html", evaluation, other, reference)
    text = Page((tmp_path / "report.html").read_text()).text
    assert "Shown: the 24 of 30 that differ most." in text and "Shown: the 12 of 14 that differ most." in text
    captions = re.findall(r"ALA (\d+): distance", text)
    assert len(captions) == 12 and "8" in captions and captions == sorted(captions, key=int)


def test_histograms_and_frames_of_a_survey_are_the_trajectory_s(reference):
    long = mdtraj.join([reference] * 3)  # more than one piece
    found = survey(long, long.n_frames)
    for name, counts in torsion_histograms(long).items():
        np.testing.assert_array_equal(found.histograms[name], counts)
    wanted = np.linspace(0, long.n_frames - 1, N_SHOWN).round().astype(int)
    heavy = long.topology.select("element != H")
    np.testing.assert_array_equal(found.frames.xyz, long.xyz[wanted][:, heavy])


def test_overlaid_frames_are_turned_onto_each_other(reference):
    angle = 1.1
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = mdtraj.Trajectory(reference.xyz @ turn.T + [3, -2, 1], reference.topology, time=reference.time)
    drawn = overlay(survey(moved, moved.n_frames), survey(reference, reference.n_frames))
    ours, theirs = (np.array(drawn[name]["frames"]) for name in ("generated", "reference"))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    atoms = theirs[0].reshape(-1, 3)
    assert np.abs(atoms.mean(axis=0)).max() < 2e-3
    lengths = [np.linalg.norm(atoms[i] - atoms[j]) for i, j in drawn["reference"]["bonds"]]
    assert 0.11 < min(lengths) and max(lengths) < 0.18 and len(drawn["reference"]["elements"]) == len(atoms)


def test_energies_are_the_force_field_s_own():
    topology, positions = build_peptide("GSAG", seed=3)
    system = implicit_system(topology)
    context = Context(system, VerletIntegrator(0.001), Platform.getPlatformByName("Reference"))
    frames, expected = [], []
    for scale in (1.0, 1.01, 1.02):
        context.setPositions(positions * scale)
        expected.append(context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
        frames.append(positions.value_in_unit(unit.nanometer) * scale)
    trajectory = mdtraj.Trajectory(np.stack(frames), mdtraj.Topology.from_openmm(topology))
    found = energies(trajectory[:2], trajectory[1:])
    np.testing.assert_allclose(found.generated, expected[:2], rtol=1e-3)
    np.testing.assert_allclose(found.reference, expected[1:], rtol=1e-3)


def test_atoms_that_coincide_are_shown_and_not_an_error(evaluation, generated, reference, tmp_path):
    broken = mdtraj.Trajectory(generated.xyz.copy(), generated.topology, time=generated.time)
    broken.xyz[1:-1, 5] = broken.xyz[1:-1, 9]
    assert np.isinf(energies(broken[:3], reference[:3]).generated[1:]).all()
    write_report(tmp_path / "report.html", evaluation, broken, reference)
    text = Page((tmp_path / "report.html").read_text()).text
    assert "inf kJ/mol" in text and "nan kJ/mol" not in text and "above all of real MD: 98%" in text
    turned_round = energies(reference[:3], broken[:3])
    assert isinstance(turned_round, NotDefined) and "infinite" in turned_round.why


def test_energies_of_heavy_atoms_alone_are_not_defined(reference):
    heavy = reference[:3].atom_slice(reference.topology.select("element != H"))
    found = energies(heavy, reference[:3])
    assert isinstance(found, NotDefined) and "generated" in found.why and "parameters" in found.why


@pytest.mark.parametrize(
    ("name", "shown"), [("PHI 0 ALA 2", "φ ALA 2"), ("CHI2 1 LEU 4", "χ2 LEU 4 (chain 1)"), ("TICA-0", "TICA-0")]
)
def test_torsions_are_named_as_chemists_do(name, shown):
    assert readable(name) == shown


@pytest.fixture(scope="module")
def chains():
    """Twelve residues that are often, seldom and sometimes wound into a helix."""

    def wound(share, n_frames=30):
        folded = np.arange(n_frames) % 10 < 10 * share
        angles = {(k, "PHI"): np.where(folded, -1.1, -2.3) for k in range(1, 12)}
        return place("A" * 12, angles | {(k, "PSI"): np.where(folded, -0.8, 2.4) for k in range(11)})

    return [wound(share) for share in (0.8, 0.3, 0.5)]


def test_ensembles_of_a_protein_are_drawn_and_told_beside_other_md(chains, tmp_path):
    generated, reference, again = chains
    options = {"lagtime": 2.0, "n_clusters": 6, "n_states": 2, "definitions": Definitions.SOUND}
    found = evaluate([generated, generated], reference, replicate=again, **options)
    write_report(tmp_path / "report.html", found, [generated, generated], reference)
    page = Page((tmp_path / "report.html").read_text())
    captions = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    for caption in ("Root mean square fluctuation", "Secondary structure", "in a helix or a strand",
                    "Contacts", "Frames on the first two", "Densities of radius",
                    "a side chain is exposed"):  # fmt: skip
        assert sum(caption in one for one in captions) == 1, caption
    assert f"{found.ensemble.pairwise_rmsd[1]:.3f}" in page.text and "the first frame of the reference" in page.text
    helix = [f"{found.ensemble.helix[1]:.1%}", f"{found.ensemble.helix[0]:.1%} ± 0.0%"]
    helix.append(f"{found.replicate_ensemble.helix[0]:.1%}")
    assert "residues in helices" + "".join(helix) in page.text.replace("\n", "")
    assert "chain holds together, strict measure100.00%100.00% ± 0.00%100.00%" in page.text.replace("\n", "")


def test_a_protein_without_side_chains_has_the_rest_drawn(chains, tmp_path):
    alphas = [one.atom_slice(one.topology.select("name CA")) for one in chains[:2]]
    found = evaluate(*alphas, lagtime=2.0)
    write_report(tmp_path / "report.html", found, *alphas)
    page = Page((tmp_path / "report.html").read_text())
    assert "which DSSP needs" in page.text and "not all have the side chains" in page.text
    assert "nan" not in re.findall(r"\w+", page.text.lower())
    assert any("Contacts" in attributes.get("alt", "") for tag, attributes in page.tags if tag == "img")
