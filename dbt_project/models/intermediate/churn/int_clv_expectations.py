"""Expected purchases and value per customer by BG/NBD and Gamma-Gamma, one fit per as-of date.

Grain: customer and as-of date, with the fit's parameters on every row. Absent where there are too few repeat buyers.
"""

NUMBERS = (
    "alive_probability",
    "expected_orders",
    "expected_order_value",
    "bgnbd_r",
    "bgnbd_alpha",
    "bgnbd_a",
    "bgnbd_b",
    "bgnbd_log_likelihood",
    "gamma_p",
    "gamma_q",
    "gamma_v",
    "gamma_log_likelihood",
)
COLUMNS = "customer_id varchar, as_of_date date, fitted_customers integer, " + ", ".join(
    f"{name} double" for name in NUMBERS
)


def model(dbt, session):
    dbt.config(materialized="table")
    inputs = dbt.ref("int_clv_inputs")
    fits = inputs.select("as_of_date, clv_horizon_days, clv_min_customers").distinct().order("as_of_date").fetchall()
    parts = []
    if fits:
        import numpy
        import pyarrow
        from duckdb import ColumnExpression, ConstantExpression

        from customer_tiering.churn.lifetime import expectations

        for as_of_date, horizon_days, min_customers in fits:
            columns = (
                inputs.filter(ColumnExpression("as_of_date") == ConstantExpression(as_of_date))
                .order("customer_id")
                .select("customer_id, repeat_days, last_week, age_weeks, mean_value")
                .fetchnumpy()
            )
            numbers = [
                numpy.asarray(columns[name], dtype=float)
                for name in ("repeat_days", "last_week", "age_weeks", "mean_value")
            ]
            found = expectations(*numbers, horizon_days / 7, min_customers)
            if found is None:
                continue
            rows = len(numbers[0])
            parts.append(
                pyarrow.table(
                    {
                        "customer_id": pyarrow.array(columns["customer_id"].tolist(), pyarrow.string()),
                        "as_of_date": pyarrow.array([as_of_date] * rows, pyarrow.date32()),
                        "fitted_customers": pyarrow.array([found.pop("fitted_customers")] * rows, pyarrow.int32()),
                        **{name: pyarrow.array(numpy.broadcast_to(found[name], rows)) for name in NUMBERS},
                    }
                )
            )
        if parts:
            return session.from_arrow(pyarrow.concat_tables(parts))
    return session.query(f"select {', '.join(map(as_null, COLUMNS.split(', ')))} limit 0")


def as_null(column):
    name, kind = column.split()
    return f"cast(null as {kind}) as {name}"
