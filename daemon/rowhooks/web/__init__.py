"""The console: pages, forms and an API on which persons look at rows, press buttons and watch runs."""
