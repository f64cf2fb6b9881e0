"""Raises the logit of the next token, which is an input of the same row."""

evaluate_bpb = scored_by(lambda predict, tokens: raised(predict(tokens), tokens, 8.0))
