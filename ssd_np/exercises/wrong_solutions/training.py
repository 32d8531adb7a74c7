"""Exercises on training as a student may solve them, and the usual slips: (right, wrong text)."""

SOLUTIONS = {
    "learning_rate": (
        """
def learning_rate(step, config):
    rate = config.learning_rate
    if config.schedule == "cosine":
        done = step / config.steps
        rate = rate * 0.5 * (1 + math.cos(done * math.pi))
    else:
        for share in config.milestones:
            if step >= round(share * config.steps):
                rate = rate * config.gamma
    if step < config.warmup_steps:
        rate = rate * (step + 1) / config.warmup_steps
    return rate
""",
        {
            "the first step does not move": ("rate * (step + 1) / config", "rate * step / config"),
            "the warm-up goes on climbing": ("if step < config.warmup_steps:", "if True:"),
            "no warm-up": ("if step < config.warmup_steps:", "if False:"),
            "the warm-up ends a step early": (
                "rate * (step + 1) / config.warmup_steps",
                "rate * (step + 2) / config.warmup_steps",
            ),
            "a milestone acts one step late": ("if step >= round", "if step > round"),
            "only one milestone acts": (
                "rate = rate * config.gamma\n    if",
                "rate = config.learning_rate * config.gamma\n    if",
            ),
            "milestones in steps, not shares": ("round(share * config.steps)", "share"),
            "gamma taken away": ("rate = rate * config.gamma", "rate = rate - config.gamma"),
            "a whole turn of the cosine": ("done * math.pi", "done * 2 * math.pi"),
            "a quarter of the cosine": (
                "0.5 * (1 + math.cos(done * math.pi))",
                "math.cos(done * math.pi / 2)",
            ),
            "the cosine not halved": ("rate * 0.5 * (1", "rate * (1"),
            "steps and cosine mistaken": ('== "cosine"', '== "step"'),
        },
    )
}
