-- Products held: distinct products that the customer ever bought, up to the as-of date. What was bought stays with
-- the customer; whether it still buys is what the activity says.
with lines as (

    select * from {{ ref('int_order_lines') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

first_bought as (

    select
        customer_id,
        source,
        product_id,
        min(ordered_on) as bought_on
    from lines
    where order_type = 'sale' and product_id is not null
    group by customer_id, source, product_id

)

select
    first_bought.customer_id,
    as_of_dates.as_of_date,
    cast(count(*) as integer) as products_held
from first_bought
inner join as_of_dates
    on first_bought.bought_on <= as_of_dates.as_of_date
group by first_bought.customer_id, as_of_dates.as_of_date
