"""Networks, controllers, algorithms, training, export and evaluation of policies."""
