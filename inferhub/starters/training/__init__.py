"""Train, prove and write the model of a starter, in a process of its own: `python -m inferhub.starters.training`.

Nothing else of the hub imports this, so that neither a web process nor a worker ever loads scikit-learn or LightGBM.
"""
