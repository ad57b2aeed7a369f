"""Training STAR: clips with their worn twins, the loss, the loop. star/ never imports it."""
