-- The indicators as people read them. The rule is in int_customer_indicators.
with indicators as (

    select * from {{ ref('int_customer_indicators') }}

)

select
    {{ promised_columns() }}
from indicators
