"""An agent that calls an API which Exequatur guards."""
