-- Sources whose customers are those of orders: they map orders or order lines and name customers by ids of their own.
with mapped as (

    select distinct source from {{ source('pipeline', 'input_tables') }}
    where input_table in ('orders', 'order_lines')

)

select source from mapped
