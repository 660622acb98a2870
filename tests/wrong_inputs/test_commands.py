"""Wrong command lines: exit code 2, nothing printed but what is wrong and what to do, and nothing written."""

import shlex
from pathlib import Path

import mdtraj
import pytest

from called import called

NAN_OR_INFINITE = "give a finite number"
SMALL = "train md --out run --frames 5 --frame-interval 100ps --steps 1 --no-progress --batch-size 2 --layers 1"


@pytest.fixture(scope="module")
def inputs(peptide, tmp_path_factory):
    """A folder of right and wrong inputs, which stays as it is."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("a.pdb", "a.xtc", "a.dcd", "g.pdb"):
        (folder / name).write_bytes((peptide.folder / name).read_bytes())
    peptide.trajectory[:1].save_xtc(str(folder / "one.xtc"))
    for name in ("empty.pdb", "empty.xtc", "empty.csv", "empty.safetensors"):
        (folder / name).write_bytes(b"")
    (folder / "half.xtc").write_bytes((folder / "a.xtc").read_bytes()[:7000])
    (folder / "half.safetensors").write_bytes(b"\x10" + bytes(20))
    (folder / "text.txt").write_text("hello")
    (folder / "half.json").write_text("{")
    (folder / "lines.yaml").write_text("stepss: 3")
    (folder / "water.gro").write_text("water\n    1\n    1SOL     OW    1   0.0   0.0   0.0\n   1.0   1.0   1.0\n")
    (folder / "list.csv").write_text("seqres\nAKLV\n")
    (folder / "hdf5").mkdir()
    peptide.trajectory[0].save_pdb(str(folder / "hdf5" / "AKLV.pdb"))
    (folder / "hdf5" / "AKLV.h5").write_bytes(b"")
    (folder / "dir").mkdir()
    for name in ("twice", "untimed"):
        (folder / name).mkdir()
        peptide.trajectory[0].save_pdb(str(folder / name / "AKLV.pdb"))
        peptide.trajectory.save_dcd(str(folder / name / "AKLV.dcd"))
    peptide.trajectory.save_xtc(str(folder / "twice" / "AKLV.xtc"))
    (folder / "md").mkdir()
    peptide.trajectory[0].save_pdb(str(folder / "md" / "AKLV.pdb"))
    peptide.trajectory.save_xtc(str(folder / "md" / "AKLV.xtc"))
    return folder


def rows(text):
    """Lines of a command, ``->`` and two parts of its message, with ``|`` between them."""
    made = []
    for line in text.strip().splitlines():
        words, said = line.strip().split(" -> ")
        cause, cure = said.split(" | ")
        made.append(pytest.param(words, cause, cure, id=words))
    return made


RUN = rows(
    """
    run -> Missing argument | run -h' for help
    run AKLV -> give either --time | such as --time 10ns
    run AKLV --time 10 -> --time '10' | with its unit (fs, ps, ns, us)
    run AKLV --time nan -> --time 'nan' | a time above zero
    run AKLV --time -10ps -> --time '-10ps' | a time above zero
    run AKLV --time 10 ps -> write it as one word | --time 10ps
    run AKLV --time 105ps -> a report is 10 ps | take 100ps or 110ps
    run AKLV --time 10ps --samples 3 -> either --time | or --samples
    run AKLV --samples 3 -> gives trajectories | such as --time 30ps
    run AKLV --time 10ps --report-interval 0ps -> --report-interval '0ps' | a time above zero
    run AKLV --time 10ps --replicas 0 -> '--replicas' | greater than or equal to 1
    run AKLV --time 10ps --seed x -> '--seed' | a valid integer
    run AKLV --time 10ps --seed 99999999999999999999 -> '--seed' | less than or equal to 9223372036854775807
    run AKLV --time 10ps --temperature inf -> --temperature inf | give a finite number
    run AKLV --time 10ps --temperature 400 -> trained at 300 to 350 K | ask for what it knows
    run AKLV --time 10ps --ph 20 -> '--ph' | less than or equal to 14
    run AKLV --time 10ps --device abacus -> device 'abacus' | 'cpu' and 'auto' always can
    run AKLV --time 10ps --ode-solver x -> ode_solver 'x' is not one of | midpoint
    run AKLV --time 10ps --evaluations 1 -> evaluations 1 | at least 9 evaluations
    run AKLV --time 10ps --generator absent -> no weights at absent | bundled ones are
    run AKLV --time 10ps --generator '' -> generator is '' | the name or file of weights
    run AKLV --time 10ps --generator dir -> dir is a folder | name a file of weights
    run AKLV --time 10ps --generator empty.safetensors -> cannot be read as weights | fetch or make it again
    run AKLV --time 10ps --generator half.safetensors -> cannot be read as weights | fetch or make it again
    run AKLV --time 10ps --generator upsampling_tetrapeptide -> are for upsampling | load others
    run AKLV --time 10ps --generator hf://x -> hf://x: names of files on the hub | hf://owner/repository
    run AKLV --time 10ps --out out.txt -> --out out.txt | name a file that ends in .dcd
    run AKLV --time 10ps --out . -> --out . is a folder | name a file in it
    run AKLV --time 10ps --out text.txt/x.dcd -> text.txt is a file | name another folder
    run AKLV --time 10ps --out absent/x.dcd -> --out absent/x.dcd: absent: no such folder | make it first
    run AKLV --time 10ps --out a.dcd -> exists | pass --force
    run a.pdb --time 10ps --out a.dcd --force -> is an input | choose another name
    run AKLV --extend 10ps -> no run at --out to add to | give --time
    run AKLV --time 10ps --format xtc -> --format xtc goes with a list of sequences | such as --out traj.xtc
    run list.csv --time 10ps --out runs --format gro -> --format gro | give dcd, xtc, trr, nc or h5
    run AKLV --time 10ps --workers 2 -> --workers go with a list | ends in .csv
    run AKLV --time 10ps --positions a.pdb -> goes with no structure | for AMBER's .prmtop
    run AKLV --time 10ps --nosuch -> No such option: --nosuch | Possible options
    run AKXV --time 10ps -> 'X' in 'AKXV' | the 20 amino acids
    run ALA-LYS-NME --time 10ps -> in three-letter codes | write one-letter codes, AK-NME
    run AKLV --time 10ps --temperature 298.15 -> trained at 300 to 350 K | the nearest being 300
    run AKLv --time 10ps -> mixes upper and lower case | write all letters in one case
    run A --time 10ps -> at least two residues | or one and a cap
    run AKLVAKLVAKLVAKLV --time 10ps -> a chain of 16 residues | train some for this length
    run AKLVAAKLVAAK --time 10ps --generator forward_peptide -> 12 residues | train some for this length
    run empty.pdb --time 10ps -> it holds no atom | empty.pdb cannot be read as a PDB file
    run water.gro --time 10ps -> it holds no amino acid, but 1 SOL | give a structure with one protein chain
    run text.txt --time 10ps -> not that of a structure file | those end in .pdb
    run a.dcd --time 10ps -> a trajectory by its name | give one structure
    run absent.pdb --time 10ps -> absent.pdb | no such file
    run absent.prmtop --time 10ps -> absent.prmtop | no such file
    run absent.csv --time 10ps --out runs -> absent.csv | no such file
    run empty.csv --time 10ps --out runs -> has columns none | it needs name, seqres, or both
    run empty.csv --time 10ps -> runs of a list need a folder | such as --out runs
    runn AKLV -> No such command 'runn' | Did you mean 'run'?
    """
)
MD = rows(
    """
    simulate --time 1ns --out o -> nothing to simulate | give sequences, structure files
    simulate AKLV --time 1 --out o -> --time '1' | with its unit
    simulate AKLV --time 10ps --out text.txt -> is a file | name a folder
    simulate AKLV --time 10ps --out text.txt/o -> text.txt is a file | name another folder
    simulate AKLV --time 10ps --out o --solvent oil -> solvent is 'oil' | take 'implicit' or 'explicit'
    simulate AKLV --time 10ps --out o --step-size 10fs -> 10 fs is too long | take at most 4 fs
    simulate AKLV --time 10ps --out o --temperature inf -> --temperature inf | give a finite number
    simulate AKLV --time 10ps --out o --platform abacus -> platform is 'abacus' | leave it out for the fastest
    simulate AKLV --time 10ps --out o --packed 0 -> '--packed' | greater than or equal to 1
    simulate AKLV --time 10ps --out o --heating x -> --heating 'x' | with its unit
    simulate AKLV --time 10ps --out o --rows 0:3 -> --rows goes with --sequences | leave it out
    simulate AKLV aklv --time 10ps --out o -> AKLV named more than once | ask for replicas
    simulate --sequences absent.csv --time 10ps --out o -> absent.csv | No such file
    simulate --sequences dir --time 10ps --out o -> dir cannot be read | Is a directory
    simulate AKLV --time 10ps --out o --format doc -> doc | give dcd, xtc, trr, nc or h5
    benchmark --seconds nan -> --seconds nan | give a finite number
    benchmark --seconds 0 -> --seconds 0 | a wall time above 0
    benchmark --reference absent -> absent | no such folder
    benchmark --reference dir -> has no NAME.pdb with a trajectory | of that name beside it
    benchmark AGLV --reference md -> has no MD of AGLV | leave them or --reference out
    benchmark --platform abacus -> platform is 'abacus' | take Reference
    benchmark --generator upsampling_tetrapeptide -> are for upsampling | load others
    benchmark --figure x.txt -> --figure x.txt | .png, .svg or .pdf
    benchmark --report x.txt -> --report x.txt | ends in .html
    benchmark AKXV -> 'AKXV' is neither a PDB file | one-letter codes
    """
)
TASKS = rows(
    """
    interpolate a.pdb g.pdb --out p -> ALA-GLY-LEU-VAL, and the other | two structures of one molecule
    interpolate absent.pdb a.pdb --out p -> absent.pdb | no such file
    interpolate a.dcd a.pdb --out p -> a trajectory by its name | give one structure
    interpolate a.pdb a.pdb --out p --paths 0 -> '--paths' | greater than or equal to 1
    interpolate a.pdb a.pdb --out p --time 3ps -> a path of 3 ps | take 990 ps
    interpolate a.pdb a.pdb --out text.txt -> is a file | name a folder
    interpolate a.pdb a.pdb --out p --generator forward_peptide -> for forward simulation | load others
    upsample a.dcd -> a.dcd holds no topology | by --top
    upsample absent.dcd --top a.pdb -> absent.dcd | no such file
    upsample a.xtc --top g.pdb -> has 70 atoms, the topology 55 | all and in order
    upsample a.xtc --top empty.pdb -> empty.pdb cannot be read as a topology | is it empty
    upsample a.xtc --top a.xtc -> a.xtc cannot be read as a topology | by its format, such as .pdb
    upsample a.dcd --top a.pdb -> has no time step | --frame-interval
    upsample a.xtc --top a.pdb -> a frame each 100 ps | take every n-th frame
    upsample a.xtc --top a.pdb --frame-interval 10 -> --frame-interval '10' | with its unit
    upsample a.xtc --top a.pdb --frame-interval 10ps --factor 7 -> upsample by 100 | 2, 4, 5, 10, 20, 25, 50, 100
    upsample a.xtc --top a.pdb --out x.txt -> --out x.txt | ends in .dcd
    upsample a.xtc --top a.pdb --out a.dcd -> exists | pass --force
    upsample one.xtc --top a.pdb -> has one frame | at least two are needed
    upsample half.xtc --top a.pdb -> cut short or damaged | give the whole file
    upsample empty.xtc --top a.pdb -> empty.xtc cannot be read as a trajectory | Malformed XTC file
    upsample dir --top a.pdb -> dir is a folder | name a file
    design a.xtc --top a.pdb --out d -> chance finds | --accept-chance
    design a.xtc --top a.pdb --out d --format gro -> --format gro | give dcd, xtc, trr, nc or h5
    design a.xtc --top a.pdb --out d --residues 0 -> --residues '0' | residue numbers from 1
    design a.xtc --top a.pdb --out d --residues 9 --accept-chance -> --residues 9 | residues 1 to 4
    design a.xtc --top a.pdb --out d --samples 0 -> '--samples' | greater than or equal to 1
    """
)
COMPARISON = rows(
    """
    evaluate a.xtc -> Missing option | '--reference'
    evaluate a.dcd --reference a.dcd -> a.dcd holds no topology | by --top
    evaluate absent.xtc --reference a.xtc --top a.pdb -> absent.xtc | no such file
    evaluate a.xtc --reference a.xtc --top a.pdb --lagtime 100 -> --lagtime '100' | with its unit
    evaluate a.xtc --reference a.xtc --top a.pdb --clusters 0 -> 10 states of 0 clusters | more clusters
    evaluate a.xtc --reference a.xtc --top a.pdb --states 1 -> 1 states | at least 2 states
    evaluate a.xtc --reference a.xtc --top a.pdb --seed -1 -> '--seed' | greater than or equal to 0
    evaluate a.xtc --reference a.xtc --top a.pdb --definitions x -> --definitions 'x' | take published or sound
    evaluate a.xtc --reference a.xtc --top a.pdb --generated-seconds 0 -> generated_seconds is 0.0 | above 0
    evaluate a.xtc --reference a.xtc --top a.pdb --json . -> --json . is a folder | name a file
    evaluate a.xtc --reference a.xtc --top a.pdb --json a.pdb -> --json a.pdb is an input | choose another name
    evaluate a.xtc --reference a.xtc --top a.pdb --json text.txt/x -> text.txt is a file | name another folder
    evaluate a.xtc --reference a.xtc --top a.pdb --json x --report y -> --report y | ends in .html
    evaluate a.xtc --reference a.xtc --top a.pdb --json x.html --report x.html -> name one file | choose two
    evaluate a.xtc --reference a.xtc --top a.pdb --report absent/x.html -> absent: no such folder | make it first
    evaluate a.xtc --reference g.pdb --top a.pdb -> different molecules | residue 2 along the chain is LYS
    evaluate a.xtc --reference text.txt --top a.pdb -> text.txt cannot be read | by its format, such as .pdb
    evaluate water.gro --reference a.xtc -> water.gro has no protein | only peptides and proteins can be compared
    table md -> give either --generated FOLDER | or --generator NAME
    table absent --generated md -> absent | no such folder
    table md --generated dir -> dir has no NAME.pdb | of that name beside it
    table md --generated md --time 10ns -> --time goes with --generator | leave it out
    table md --generated md --out kept -> --out goes with --generator | leave it out
    table md --generator forward_peptide --format xtc -> --format xtc goes with --out | leave it out
    table md --generator forward_peptide --time 15ps -> a frame each 10 ps | take 10ps or 20ps
    table md --generator absent -> no weights at absent | bundled ones are
    """
)
TRAINING = rows(
    f"""
    train absent --out run -> absent is no folder | NAME.pdb with NAME.xtc
    train dir --out run -> to train on in dir | no NAME.pdb with NAME.xtc
    train twice --out run -> several trajectories beside it, AKLV.dcd, AKLV.xtc | the one there that is to be read
    train untimed --out run -> has no time step | "frame_interval": 10
    train md --out text.txt -> is a file | name a folder
    train md --out run --frame-interval 10furlongs -> --frame-interval '10furlongs' | with its unit
    train md --out run --frame-interval 0 -> --frame-interval '0' | a time above zero
    train md --out run --frames 1000 --frame-interval 100 -> lasts 5000 ps | train on fewer frames
    train md --out run --frame-interval 30ps -> 30 ps is not a multiple | Choose one
    train md --out run --steps 0 -> '--steps' | greater than or equal to 1
    train md --out run --task x -> task 'x' is not one of | forward_simulation
    train md --out run --learning-rate inf -> --learning-rate inf | give a finite number
    train md --out run --temperature inf -> --temperature inf | give a finite number
    train md --out run --config absent.yaml -> absent.yaml | No such file
    train md --out run --config lines.yaml -> no option 'stepss' | the nearest is 'steps'
    train md --out run --split empty.csv -> has columns none | it needs name, seqres, or both
    train md --out run --validation-split empty.csv -> go with --split | the CSV of those to train on
    train md --out run --array-interval 1ps -> arrays do not hold their sequences | as --split
    train md --out run --generator forward_peptide -> for commands that generate | --init forward_peptide
    train md --out run --fine-tune forward_peptide -> a command of its own | openmm-mdgen fine-tune
    {SMALL} --width 7 --heads 2 -> width 7 | a multiple of twice the 2 heads
    {SMALL} --width 16 --heads 2 --hours 0 -> hours is 0.0 | a number above 0
    {SMALL} --width 16 --heads 2 --ema-decay 2 -> '--ema-decay' | less than or equal to 1
    {SMALL} --width 16 --heads 2 --accelerator abacus -> accelerator 'abacus' is not one of | auto, cpu, gpu
    {SMALL} --width 16 --heads 2 --seed 99999999999 -> '--seed' | less than or equal to 4294967295
    {SMALL} --width 16 --heads 2 --init absent -> no weights at absent | bundled ones are
    {SMALL} --width 16 --heads 2 --validate md -> trained on and validated on | --exclude
    {SMALL} --width 16 --heads 2 --task inpainting --designed 9 -> residues 9, and AKLV has 4 | take some of these
    {SMALL} --width 16 --heads 2 --task upsampling --factor 7 -> no interval of factor 7 | at least 8 frames
    fine-tune absent md --out run -> no weights at absent | bundled ones are
    fine-tune forward_peptide dir --out run -> to train on in dir | no NAME.pdb with NAME.xtc
    fine-tune forward_peptide md --out run --hold-out 1 -> a held-out share of 1 | between 0 and 1
    """
)
OTHERS = rows(
    """
    info absent -> no such file or folder | openmm-mdgen weights show
    info a.pdb -> is nothing of openmm-mdgen | no manifest beside it names it
    info half.json -> is nothing of openmm-mdgen | no manifest beside it names it
    info half.safetensors -> cannot be read as weights | fetch or make it again
    weights absent -> No such command 'absent' | weights -h' for help
    weights show absent -> no weights at absent | bundled ones are
    weights show dir -> dir is a folder | name a file of weights
    weights show '' -> . is a folder | name a file of weights
    weights fetch absent -> fetch takes | hf://owner/repository/file
    weights --json absent/x.json -> absent: no such folder | make it first
    doctor --json text.txt -> exists | pass --force
    doctor --json text.txt/x -> text.txt is a file | name another folder
    """
)


def contents(folder):
    """All files by their times, but for what is kept of trajectories that were read."""
    found = {path.relative_to(folder): path.stat().st_mtime_ns for path in Path(folder).rglob("*")}
    return {path: time for path, time in found.items() if ".openmm_mdgen" not in path.parts and path.suffix}


@pytest.mark.parametrize(("words", "cause", "cure"), RUN + MD + TASKS + COMPARISON + TRAINING + OTHERS)
def test_a_wrong_command_line_is_told_in_a_line_and_leaves_nothing(inputs, monkeypatch, capsys, words, cause, cure):
    monkeypatch.chdir(inputs)
    before = contents(inputs)
    code, out, errors = called(monkeypatch, capsys, *shlex.split(words))
    assert code == 2 and out == "" and "Traceback" not in errors, errors
    said = " ".join(errors.split())
    assert cause in said, said
    assert cure in said, said
    if not errors.startswith("Usage:"):
        lines = [line for line in errors.splitlines() if not line.startswith(("warning:", "seed "))]
        assert len(lines) == 1 and lines[0].lower().startswith("error: ")
    assert contents(inputs) == before


@pytest.mark.parametrize("module", ["lightning.pytorch", "yaml"])
def test_a_missing_extra_is_told_before_the_work(inputs, monkeypatch, capsys, module):
    monkeypatch.chdir(inputs)
    monkeypatch.setitem(__import__("sys").modules, module, None)
    code, out, errors = called(monkeypatch, capsys, *SMALL.split())
    assert code == 2 and out == "" and "training needs" in errors and "pip install 'openmm_mdgen[train]'" in errors


@pytest.mark.parametrize(
    ("words", "module", "cure"),
    [
        ("fine-tune forward_peptide md --out run", "lightning.pytorch", "pip install 'openmm_mdgen[train]'"),
        ("run list.csv --time 10ps --out runs", "distributed", "pip install 'openmm_mdgen[workers]'"),
        ("simulate AKLV --time 1ps --out sim --workers 2", "distributed", "pip install 'openmm_mdgen[workers]'"),
        ("simulate AKLV --time 1ps --out sim --scheduler tcp://x:1", "distributed", "'openmm_mdgen[workers]'"),
        ("table md --generated md --workers 2", "distributed", "pip install 'openmm_mdgen[workers]'"),
        ("run AKLV --time 10ps --out x.h5", "tables", "pip install tables"),
        ("run list.csv --time 10ps --out runs --format h5", "tables", "pip install tables"),
        ("simulate AKLV --time 1ps --out sim --format h5", "tables", "pip install tables"),
        ("interpolate a.pdb g.pdb --out p --format h5", "tables", "pip install tables"),
        ("upsample a.xtc --top a.pdb --out x.h5", "tables", "pip install tables"),
        ("design a.xtc --top a.pdb --out d --format h5", "tables", "pip install tables"),
        ("table md --generator forward_peptide --out t --format h5", "tables", "pip install tables"),
        ("train hdf5 --out run", "tables", "pip install tables"),
        ("evaluate hdf5/AKLV.h5 --top a.pdb --reference a.xtc", "tables", "pip install tables"),
    ],
)
def test_a_missing_package_is_told_before_any_work(inputs, monkeypatch, capsys, words, module, cure):
    monkeypatch.chdir(inputs)
    monkeypatch.setitem(__import__("sys").modules, module, None)
    before = contents(inputs)
    code, out, errors = called(monkeypatch, capsys, *words.split())
    assert code == 2 and out == "" and cure in errors and len(errors.splitlines()) == 1, errors
    assert contents(inputs) == before


def test_the_inputs_are_what_they_seem(inputs):
    assert mdtraj.load(str(inputs / "a.xtc"), top=str(inputs / "a.pdb")).n_frames == 50
    assert len(RUN + MD + TASKS + COMPARISON + TRAINING + OTHERS) >= 150
