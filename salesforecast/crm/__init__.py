"""Reading exports: their files and headers become our tables and columns, and nothing else changes."""

from salesforecast.crm.mapping import Mapping, mappings
from salesforecast.crm.source import Export, load

__all__ = ["Export", "Mapping", "load", "mappings"]
