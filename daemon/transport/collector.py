"""The interpreter's garbage collector, which runs when it is asked to and at no other time."""

import gc


class Collector:
    """Looks for objects that hold each other and that nobody else holds: counting references never frees those."""

    def take_over(self) -> None:
        """From here on nothing is collected unasked, and what is loaded by now is looked at no more."""
        gc.collect()
        gc.freeze()
        gc.disable()

    @property
    def made(self) -> int:
        """How many objects were made since the last look, less those freed: what the next one walks at least."""
        return gc.get_count()[0]

    def look(self) -> int:
        """Look at what was made since `take_over` or the last `spare`, and free what nobody holds: so many objects."""
        return gc.collect()

    def spare(self) -> None:
        """What is alive now is looked at no more."""
        gc.freeze()

    def look_at_all(self) -> int:
        """Look at everything there is, also at what was spared: so many objects were freed."""
        gc.unfreeze()
        return gc.collect()
