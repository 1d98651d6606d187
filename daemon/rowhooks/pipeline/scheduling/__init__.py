"""Which run starts when, and where: lanes, preparation, the scheduler and the execution pools."""
