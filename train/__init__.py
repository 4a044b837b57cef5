"""The trainer: `python -m train [RECIPE] [--options]`, and `python -m train.evaluate CHECKPOINT`."""
