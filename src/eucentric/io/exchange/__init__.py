"""To and from the programs around us: one record inside, and a module for each program at the edge."""

from eucentric.io.exchange.records import Exported, Imported, Particle, ProcessedSeries, SeriesFiles, Volume

__all__ = ["Exported", "Imported", "Particle", "ProcessedSeries", "SeriesFiles", "Volume"]
