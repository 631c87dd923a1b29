"""Live tables: nothing in the database. What a live table is lies in its own file, in the transaction of its rows (docs/adr/0034-live-layers.md)."""


revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
