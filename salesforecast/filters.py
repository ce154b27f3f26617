"""By what a report is limited to a part of the company."""

FILTERS = ("region", "team", "rep", "product")  # parameters of notebooks, of the command line and of `Crm.only`
