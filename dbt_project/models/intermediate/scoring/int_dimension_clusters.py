"""Level by cluster: customers that resemble each other form a group; groups are ranked by their leading indicator.

One fit per scheme, dimension and as-of date, each starting from the groups of the night before. Grain: customer,
scheme, dimension, as-of date; ``cluster_rank`` is 1 for the best group. Customers without a group are absent (pending).
The last accepted night, recomputed as baseline, keeps its groups: they have nothing that a correction could move.
"""

COLUMNS = "customer_id varchar, scheme varchar, dimension varchar, as_of_date date, cluster_rank integer"


def model(dbt, session):
    dbt.config(materialized="table")
    features = dbt.ref("int_cluster_features")
    fits = (
        features.select("scheme, dimension, as_of_date, measure, clusters")
        .distinct()
        .order("scheme, dimension, as_of_date")
        .fetchall()
    )
    if not fits:
        # The packages of the fit take their time to import; without a scheme or a customer to cluster none is needed.
        return session.query(f"select {', '.join(map(as_null, COLUMNS.split(', ')))} limit 0")

    import numpy
    import pyarrow
    from duckdb import ColumnExpression, ConstantExpression

    from customer_tiering.rules.clusters import rank_clusters

    parts = []
    before = None  # scheme and dimension, customers in order, their groups
    for scheme, dimension, as_of_date, measure, clusters in fits:
        columns = (
            features.filter(
                (ColumnExpression("scheme") == ConstantExpression(scheme))
                & (ColumnExpression("dimension") == ConstantExpression(dimension))
                & (ColumnExpression("as_of_date") == ConstantExpression(as_of_date))
            )
            .order("customer_id, indicator")
            .select("customer_id, indicator, value, weight, accepted_rank, is_baseline")
            .fetchnumpy()
        )
        # Every customer has a row for every indicator of the dimension, in the same order.
        width = len(set(columns["indicator"]))
        values = numpy.ma.filled(columns["value"].astype(float), numpy.nan).reshape(-1, width)
        weights = numpy.asarray(columns["weight"][:width], dtype=float)
        everybody = numpy.asarray(columns["customer_id"][::width]).astype(str)
        if before is not None and before[0] == (scheme, dimension):
            started = groups_of(everybody, *before[1:])
        else:
            started = numpy.ma.filled(columns["accepted_rank"][::width], 0).astype(numpy.int64)
        ranks = rank_clusters(values, weights, clusters, measure == "log", started)
        if columns["is_baseline"][0]:
            ranks = numpy.where(started > 0, started, ranks)
        before = (scheme, dimension), everybody, ranks
        customers = everybody[ranks > 0]
        parts.append(
            pyarrow.table(
                {
                    "customer_id": pyarrow.array(customers.tolist(), pyarrow.string()),
                    "scheme": pyarrow.array([scheme] * len(customers), pyarrow.string()),
                    "dimension": pyarrow.array([dimension] * len(customers), pyarrow.string()),
                    "as_of_date": pyarrow.array([as_of_date] * len(customers), pyarrow.date32()),
                    "cluster_rank": pyarrow.array(ranks[ranks > 0], pyarrow.int32()),
                }
            )
        )
    return session.from_arrow(pyarrow.concat_tables(parts))


def groups_of(everybody, customers, ranks):
    """The groups that customers had; 0 for those who had none. Customers are in order."""
    import numpy

    places = numpy.searchsorted(customers, everybody).clip(max=len(customers) - 1)
    return numpy.where(customers[places] == everybody, ranks[places], 0)


def as_null(column):
    name, kind = column.split()
    return f"cast(null as {kind}) as {name}"
