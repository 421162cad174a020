"""``python -m scoring.tts.parler``."""

import sys

from scoring.tts.parler.say_cli import main

sys.exit(main())
