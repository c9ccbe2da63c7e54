"""What is refused, what fails, what is cut short: what client, upstream and log see of it."""
