-- What every scheme makes of the indicators, wide: who is in its population, the score of each indicator by its bands
-- or levels, and the indicators that schemes judge as they are. One pass over the indicators.
{{ compiled(
    'scores',
    indicators=ref('int_customer_indicators'),
    customers=ref('int_customers'),
    as_of_dates=ref('int_as_of_dates')
) }}
