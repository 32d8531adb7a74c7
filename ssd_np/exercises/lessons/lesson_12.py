"""The exercises of lesson 12: training."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "learning_rate", 12, "ssd_np.train.schedule", ("learning_rate",), "test_schedule.py",
        (
            "rule = TrainConfig(steps=100, learning_rate=1.0, warmup_steps=4, milestones=(0.5,))",
            "[learning_rate(step, rule) for step in (0, 1, 3, 49, 50)]",
        ),
        given=("math",),
        hint="`config` is a TrainConfig: its fields schedule, steps, learning_rate, warmup_steps,\n"
        "milestones (shares of all steps) and gamma count here. The warm-up reaches the full rate\n"
        "at step warmup_steps - 1. Rounding: a milestone is at step round(share * steps).",
    ),
)
