"""A real PostgreSQL and a real Redis from wheels, and the supervisor that keeps the parts of one machine running.

Nothing in here is imported where DATABASE_URL and CELERY_BROKER_URL are both set, except by `inferhub up`.
"""
