"""How long a world may take: by its own clock once the faults have stopped, and by everybody's."""

import attrs

DAY = 86_400.0


@attrs.frozen(kw_only=True)
class Limits:
    """patience: seconds of virtual time that are waited once the faults have stopped. seconds: of real time
    that the whole world may take; None: any."""

    patience: float = 3000.0
    seconds: float | None = None
