"""What a comparison with real MD looks like: one HTML file that needs nothing else.

from openmm_mdgen.report import write_report

write_report("report.html", evaluate(generated, reference), generated, reference)
"""

from openmm_mdgen.report.page import write_report

__all__ = ["write_report"]
